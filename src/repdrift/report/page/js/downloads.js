// Files: those that the page holds, compressed, and those that it makes of what it shows.
function saveFile(name, content) {
  const address = URL.createObjectURL(content);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

const unpackedFile = (name) => unzipped(document.querySelector(`script[data-file="${CSS.escape(name)}"]`).textContent);

function buildDownloads() {
  document.querySelectorAll("button[data-download]").forEach((button) => button.addEventListener("click", async () => {
    try {
      saveFile(button.dataset.download, await unpackedFile(button.dataset.download));
    } catch (fault) {
      announce(`The file could not be unpacked (${fault.message}). A newer browser can do it.`);
    }
  }));
}
