"""Small news items. Each frame: two wordings of the same facts, and for each slot the values it can take.

Paraphrase pairs take both wordings with the same values; other pairs change one value in the second wording.
`entailed` and `open` are statements for textual entailment: what follows from the first wording, and what does not.
"""

NAMES = {
    "train": [
        "Amara Lind",
        "Tomas Okafor",
        "Greta Weiss",
        "Ravi Mehta",
        "Elif Kaya",
        "Jonas Berg",
        "Mina Park",
        "Paulo Reis",
        "Nadia Haddad",
        "Owen Clarke",
    ],
    "validation": ["Ines Moreau", "Kofi Mensah", "Sofia Rossi", "Liam Byrne", "Yuki Tanaka", "Dara Novak"],
}
TOWNS = {
    "train": ["Lindmoor", "Castel Rey", "Oakhaven", "Port Alder", "Brightwater", "Sandvika", "Miradol", "Fernleigh"],
    "validation": ["Harrow Bay", "Velden", "Monte Claro", "Eastmere", "Stonebridge"],
}
COUNTS = {
    "train": ["twelve", "thirty", "forty", "sixty", "ninety", "two hundred"],
    "validation": ["fifteen", "twenty-five", "fifty", "eighty", "three hundred"],
}
DAYS = {"train": ["Monday", "Wednesday", "Friday", "Saturday"], "validation": ["Tuesday", "Thursday", "Sunday"]}

# (wording 1, wording 2, what follows from wording 1, what does not)
FRAMES = [
    (
        "The council of {town} voted on {day} to plant {count} trees along the river path.",
        "On {day}, {town}'s council decided that {count} trees will be planted beside the path on the river.",
        "There will be new trees along the river path in {town}.",
        "The council of {town} will cut down {count} trees.",
    ),
    (
        "{name} won the regional chess title in {town} on {day} after {count} moves.",
        "It took {name} {count} moves to become regional chess champion in {town} on {day}.",
        "{name} became a chess champion.",
        "{name} lost the final match in {town}.",
    ),
    (
        "Heavy rain closed the bridge near {town} on {day}, and {count} families had to leave their homes.",
        "{count_cap} families were forced out of their homes and the bridge near {town} was shut on {day} because of heavy rain.",
        "The bridge near {town} was closed because of the weather.",
        "The bridge near {town} collapsed on {day}.",
    ),
    (
        "A bakery founded by {name} gave away {count} loaves in {town} on {day} to mark its first birthday.",
        "To celebrate its first year, {name}'s bakery handed out {count} free loaves in {town} on {day}.",
        "{name} founded a bakery.",
        "{name} sold the bakery on {day}.",
    ),
    (
        "The library in {town} will open until midnight from {day} and has hired {count} new helpers.",
        "From {day} on, readers can stay in {town}'s library until midnight, and {count} helpers have been taken on.",
        "People will be able to visit the library in {town} late in the evening.",
        "The library in {town} will close for good.",
    ),
    (
        "{name} sold {count} paintings at the spring market in {town} on {day}.",
        "At {town}'s spring market on {day}, {count} paintings by {name} found buyers.",
        "{name} took part in a market in {town}.",
        "{name} bought {count} paintings in {town}.",
    ),
    (
        "Police in {town} found {count} stolen bicycles in a barn on {day}.",
        "On {day}, officers in {town} came upon {count} bicycles in a barn, all of them stolen.",
        "Stolen bicycles were discovered in {town}.",
        "Police in {town} arrested {count} thieves.",
    ),
    (
        "The ferry from {town} was late on {day} because {count} sheep had strayed onto the pier.",
        "{count_cap} sheep that had wandered onto the pier delayed {town}'s ferry on {day}.",
        "Animals delayed the ferry from {town}.",
        "The ferry from {town} left early on {day}.",
    ),
    (
        "{name}, a nurse from {town}, swam across the bay on {day} and raised money for {count} new beds.",
        "By swimming across the bay on {day}, the nurse {name} of {town} collected enough for {count} new beds.",
        "{name} works as a nurse.",
        "{name} sailed across the bay in a boat.",
    ),
    (
        "A school in {town} replaced its car park with a garden on {day}, and {count} pupils helped to dig.",
        "With {count} pupils digging, a school in {town} turned its car park into a garden on {day}.",
        "Pupils in {town} helped to make a garden.",
        "A school in {town} built a larger car park.",
    ),
    (
        "{name} was elected mayor of {town} on {day} by a margin of {count} votes.",
        "Voters in {town} chose {name} as their mayor on {day}; the margin was {count} votes.",
        "{name} won an election in {town}.",
        "{name} has been mayor of {town} for ten years.",
    ),
    (
        "The cinema in {town} reopened on {day} with {count} seats after a fire.",
        "After a fire, {town}'s cinema opened its doors again on {day}, now with {count} seats.",
        "There had been a fire at the cinema in {town}.",
        "The fire at the cinema in {town} was started by {name}.",
    ),
    (
        "Farmers near {town} brought in {count} tonnes of apples by {day}, said {name} of the growers' union.",
        "By {day} the farms around {town} had harvested {count} tonnes of apples, according to {name} of the growers' union.",
        "Apples are grown near {town}.",
        "The apple harvest near {town} failed.",
    ),
    (
        "{name} repaired the clock tower in {town} on {day}, using {count} parts from an old mill.",
        "With {count} parts taken from an old mill, {name} mended {town}'s clock tower on {day}.",
        "The clock tower in {town} has been repaired.",
        "The clock tower in {town} was torn down.",
    ),
    (
        "A storm cut off the power in {town} on {day}, and {count} houses stayed dark until morning.",
        "Because of a storm, {count} houses in {town} had no light until morning after the power failed on {day}.",
        "Some houses in {town} had no electricity.",
        "Nobody in {town} was affected by the storm.",
    ),
    (
        "{name} opened a repair shop in {town} on {day} and took in {count} radios in the first week.",
        "In its first week, the repair shop that {name} started in {town} on {day} received {count} radios.",
        "{name} runs a shop in {town}.",
        "{name} closed the shop after one week.",
    ),
]
