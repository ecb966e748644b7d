// Files that the page holds, compressed.
async function unpackedFile(name) {
  const letters = document.querySelector(`script[data-file="${CSS.escape(name)}"]`).textContent;
  const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}

document.querySelectorAll("button[data-download]").forEach((button) => button.addEventListener("click", async () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await unpackedFile(button.dataset.download));
  link.download = button.dataset.download;
  link.click();
  URL.revokeObjectURL(link.href);
}));
