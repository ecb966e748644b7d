"""Small news items: the events of training and those of validation, each in two wordings, and what fills their slots."""

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

# (wording 1, wording 2, what follows from both, what does not)
FRAMES = {
    "train": [
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
        (
            "{name} grew a pumpkin as heavy as {count} bricks and showed it in {town} on {day}.",
            "A pumpkin that weighs as much as {count} bricks, grown by {name}, was on show in {town} on {day}.",
            "{name} grew a very large vegetable.",
            "{name} cooked soup for everybody in {town}.",
        ),
        (
            "The swimming pool in {town} closed on {day} after {count} tiles fell from the wall.",
            "Because {count} tiles had come off a wall, {town}'s swimming pool was shut on {day}.",
            "The pool in {town} was closed because of damage.",
            "The swimming pool in {town} is free for children.",
        ),
        (
            "A dog called Biscuit led {name} and {count} lost hikers back to {town} on {day}.",
            "Lost in the hills, {name} and {count} other hikers followed a dog called Biscuit to {town} on {day}.",
            "A dog helped hikers to find their way to {town}.",
            "{name} bought a dog in {town}.",
        ),
        (
            "The teacher {name} took {count} pupils from {town} to the opera on {day}.",
            "{count_cap} pupils from {town} heard an opera on {day}, invited by their teacher {name}.",
            "{name} is a teacher.",
            "{name} sang in an opera in {town}.",
        ),
        (
            "Thieves took {count} cheeses from a dairy in {town} on {day}.",
            "{count_cap} cheeses were stolen from {town}'s dairy on {day}.",
            "There was a theft at a dairy in {town}.",
            "A dairy in {town} won a prize for its cheese.",
        ),
        (
            "The mayor of {town} promised on {day} to mend {count} street lamps before winter.",
            "Before winter {count} street lamps in {town} will be repaired, the mayor said on {day}.",
            "Some street lamps in {town} were broken.",
            "The mayor of {town} resigned on {day}.",
        ),
        (
            "Engineers drilled {count} wells near {town} by {day}, so that the villages have clean water.",
            "By {day} clean water reached the villages around {town} from {count} new wells.",
            "Villages near {town} have clean water.",
            "The villages near {town} were flooded.",
        ),
        (
            "{name} photographed {count} rare owls in the forest near {town} on {day}.",
            "On {day} {count} rare owls in the woods near {town} were caught on camera by {name}.",
            "There are owls in the forest near {town}.",
            "The forest near {town} was cut down.",
        ),
    ],
    "validation": [
        (
            "{name} found {count} old coins under the floor of a cottage in {town} on {day}.",
            "Beneath the floor of a cottage in {town}, {count} old coins were discovered by {name} on {day}.",
            "Old coins were found in a house in {town}.",
            "{name} sold a cottage in {town}.",
        ),
        (
            "The hospital in {town} opened a ward for children on {day} with {count} beds.",
            "On {day} a children's ward with {count} beds was added to {town}'s hospital.",
            "The hospital in {town} has beds for children.",
            "The hospital in {town} closed on {day}.",
        ),
        (
            "{name} ran the marathon in {town} on {day} and overtook {count} runners in the last mile.",
            "In the last mile of {town}'s marathon on {day}, {name} passed {count} other runners.",
            "{name} took part in a race in {town}.",
            "{name} broke a leg in {town}.",
        ),
        (
            "Snow closed the airport of {town} on {day}, and {count} flights were cancelled.",
            "Because of snow, {town}'s airport stayed shut on {day} and {count} planes could not take off.",
            "The weather stopped the flights from {town}.",
            "The airport of {town} will get a second runway.",
        ),
        (
            "A factory in {town} dismissed {count} workers on {day} after orders for its stoves fell.",
            "Fewer orders for stoves cost {count} people their jobs at a factory in {town} on {day}.",
            "Workers at a factory in {town} lost their jobs.",
            "A factory in {town} burnt down on {day}.",
        ),
        (
            "{count_cap} volunteers pushed a stranded whale back into the sea near {town} on {day}.",
            "A whale that had stranded near {town} was returned to the water by {count} volunteers on {day}.",
            "A whale near {town} was saved.",
            "A whale sank a boat near {town}.",
        ),
        (
            "{name} gave {count} letters of a famous poet to the museum of {town} on {day}.",
            "The museum of {town} received {count} letters by a famous poet from {name} on {day}.",
            "The museum of {town} owns letters of a poet.",
            "The museum of {town} was robbed on {day}.",
        ),
        (
            "From {day} buses in {town} are free for everybody, and {count} new drivers have started work.",
            "Nobody in {town} has to pay for the bus from {day} on, and {count} drivers have been hired.",
            "People in {town} can take the bus without a ticket.",
            "Bus drivers in {town} went on strike.",
        ),
        (
            "{name} taught {count} prisoners in {town} to play the violin, and they gave a concert on {day}.",
            "On {day} {count} prisoners in {town}, all of them pupils of {name}, gave a concert on the violin.",
            "Prisoners in {town} made music.",
            "{count_cap} prisoners escaped in {town} on {day}.",
        ),
        (
            "A fire on {day} destroyed {count} boats in the harbour of {town}.",
            "{count_cap} boats burnt in {town}'s harbour on {day}.",
            "Boats in {town} were lost in a fire.",
            "The harbour of {town} froze over on {day}.",
        ),
    ],
}
