"""Short passages with questions. Slots in a passage are facts; a question names the slot that answers it, or None."""

# slot: values for train, values for validation
SLOTS = {
    "town": (
        ["Lindmoor", "Castel Rey", "Oakhaven", "Port Alder", "Brightwater", "Sandvika", "Miradol", "Fernleigh"],
        ["Velden", "Eastmere", "Harrow Bay", "Stonebridge", "Monte Claro"],
    ),
    "person": (
        [
            "Amara Lind",
            "Tomas Okafor",
            "Greta Weiss",
            "Elif Kaya",
            "Jonas Berg",
            "Mina Park",
            "Paulo Reis",
            "Owen Clarke",
        ],
        ["Ines Moreau", "Kofi Mensah", "Liam Byrne", "Yuki Tanaka", "Dara Novak"],
    ),
    "year": (
        ["1872", "1895", "1911", "1936", "1958", "1964", "1847", "1922"],
        ["1884", "1903", "1927", "1949", "1861"],
    ),
    "number": (
        ["twelve", "twenty", "thirty", "forty", "ninety", "eleven", "seventy"],
        ["fifteen", "fifty", "sixty", "eighty", "fourteen"],
    ),
    "stone": (
        ["red granite", "pale limestone", "dark slate", "yellow brick", "black basalt"],
        ["grey sandstone", "white marble", "green slate"],
    ),
    "food": (
        ["smoked trout", "rye bread", "plum cake", "onion pie", "roast chestnuts"],
        ["goat cheese", "barley soup", "honey biscuits"],
    ),
    "month": (["March", "May", "September", "October", "January", "August"], ["April", "June", "November"]),
    "animal": (["otters", "storks", "wild ponies", "tame geese", "badgers"], ["red foxes", "grey herons", "swans"]),
}
# (passage, [(question, slot or None), ...])
PASSAGES = {
    "train": [
        (
            "The lighthouse at {town} was finished in {year}. It was built of {stone} by the engineer {person}, who had never seen the sea before. "
            "Its lamp can be seen from {number} miles away, and a keeper still sleeps in the tower.",
            [
                ("When was the lighthouse finished?", "year"),
                ("What was the lighthouse built of?", "stone"),
                ("Who built the lighthouse?", "person"),
                ("How much did the lighthouse cost?", None),
                ("Who is the keeper of the lighthouse?", None),
            ],
        ),
        (
            "Every {month} the people of {town} hold a fair on the frozen market square. The baker {person} started it in {year} with a single table. "
            "Today there are {number} stalls, and most visitors come for the {food}.",
            [
                ("In which month is the fair held?", "month"),
                ("Who started the fair?", "person"),
                ("How many stalls are there today?", "number"),
                ("How many visitors come to the fair?", None),
                ("Why did the baker start the fair?", None),
            ],
        ),
        (
            "The marsh north of {town} became a reserve in {year}. It is known for its {animal}, which had been gone for {number} years. "
            "The ranger {person} counts them every {month} from a small wooden hide.",
            [
                ("What is the marsh known for?", "animal"),
                ("When did the marsh become a reserve?", "year"),
                ("Who counts the animals?", "person"),
                ("How large is the marsh?", None),
                ("Who built the wooden hide?", None),
            ],
        ),
        (
            "The railway reached {town} in {year}, and with it came the first hotel. {person} ran it for {number} years and served {food} to every guest. "
            "The building of {stone} still stands beside the tracks.",
            [
                ("When did the railway reach the town?", "year"),
                ("What was served to every guest?", "food"),
                ("Who ran the hotel?", "person"),
                ("What was the name of the hotel?", None),
                ("How many guests could sleep in the hotel?", None),
            ],
        ),
        (
            "In {month} the school of {town} moved into an old mill. Its walls of {stone} are a metre thick, so that {number} pupils can sing without "
            "waking anybody. The head teacher, {person}, found the mill in {year} while lost in fog.",
            [
                ("In which month did the school move?", "month"),
                ("How many pupils can sing there?", "number"),
                ("When was the mill found?", "year"),
                ("Who owned the mill before?", None),
                ("How old is the school?", None),
            ],
        ),
        (
            "The bridge at {town} has {number} arches of {stone}. A flood took the older wooden one in {year}. {person} drew the plans within a week, "
            "and the first cart crossed it the following {month}.",
            [
                ("How many arches does the bridge have?", "number"),
                ("Who drew the plans?", "person"),
                ("When did a flood take the older bridge?", "year"),
                ("How long is the bridge?", None),
                ("Who drove the first cart?", None),
            ],
        ),
        (
            "{person} planted the botanical garden of {town} in {year} with seeds from {number} countries. It opens in {month}, when the first magnolias bloom. "
            "A family of {animal} has moved into the pond.",
            [
                ("Who planted the garden?", "person"),
                ("What has moved into the pond?", "animal"),
                ("When does the garden open?", "month"),
                ("What does it cost to visit the garden?", None),
                ("How deep is the pond?", None),
            ],
        ),
        (
            "The theatre in {town} burnt down in {year} and was built again in {stone}. It has {number} boxes and a painted ceiling by {person}. "
            "Actors are paid partly in {food}, an old custom that nobody wants to end.",
            [
                ("When did the theatre burn down?", "year"),
                ("Who painted the ceiling?", "person"),
                ("What are actors partly paid in?", "food"),
                ("Which play opened the new theatre?", None),
                ("How did the fire start?", None),
            ],
        ),
        (
            "A footpath of {number} miles leads around the lake of {town}. {person} marked it in {year} with posts of {stone}. "
            "Walkers often meet {animal} there, above all in {month}.",
            [
                ("How many miles long is the footpath?", "number"),
                ("What are the posts made of?", "stone"),
                ("What do walkers often meet?", "animal"),
                ("How deep is the lake?", None),
                ("How long does the walk take?", None),
            ],
        ),
        (
            "The radio station of {town} first went on air in {year} from a kitchen. Its founder, {person}, read recipes for {food} between the songs. "
            "It now has {number} volunteers and takes a holiday each {month}.",
            [
                ("When did the station first go on air?", "year"),
                ("Who founded the station?", "person"),
                ("How many volunteers are there?", "number"),
                ("Which song was played first?", None),
                ("How far can the station be heard?", None),
            ],
        ),
    ],
    "validation": [
        (
            "The glass works of {town} opened in {year}. The owner, {person}, employed {number} people and gave each of them a basket of {food} in {month}. "
            "The old hall of {stone} is a museum today.",
            [
                ("When did the glass works open?", "year"),
                ("Who owned the glass works?", "person"),
                ("How many people worked there?", "number"),
                ("What does a visit to the museum cost?", None),
                ("Which colour did the glass have?", None),
            ],
        ),
        (
            "On an island near {town} stands a monastery of {stone}. The first monks came there in {year}, led by {person}, and lived on {food}. "
            "Each {month} {number} pilgrims walk across the sand at low tide.",
            [
                ("What is the monastery built of?", "stone"),
                ("Who led the first monks?", "person"),
                ("When did the first monks come?", "year"),
                ("What is the name of the island?", None),
                ("Why do the pilgrims sing?", None),
            ],
        ),
        (
            "The observatory above {town} has watched the sky since {year}. It was paid for by {person}, who had grown rich with {food}. "
            "It owns {number} telescopes, and every {month} it invites children for a night.",
            [
                ("Since which year has the observatory watched the sky?", "year"),
                ("Who paid for the observatory?", "person"),
                ("How many telescopes does the observatory own?", "number"),
                ("Which comet was found there?", None),
                ("How high is the hill?", None),
            ],
        ),
        (
            "{person} opened the first cinema of {town} in {year}. It had {number} seats and a screen between two pillars of {stone}. "
            "In the break visitors bought {food}, and in {month} the roof was opened to the stars.",
            [
                ("Who opened the first cinema?", "person"),
                ("How many seats did the cinema have?", "number"),
                ("What did visitors buy in the break?", "food"),
                ("Which film was shown first?", None),
                ("Why did the cinema close?", None),
            ],
        ),
        (
            "In {year} a flood washed a chest onto the beach of {town}. The fisherman {person} opened it and found {number} silver spoons. "
            "They lie in a case of {stone}, which is shown to visitors in {month}.",
            [
                ("When did a flood wash the chest onto the beach?", "year"),
                ("Who opened the chest?", "person"),
                ("How many silver spoons were in the chest?", "number"),
                ("Which ship had carried the chest?", None),
                ("What are the spoons worth?", None),
            ],
        ),
        (
            "The tea house of {town} is run by {person}, who bought it from an aunt in {year}. It serves {food} at {number} tables. "
            "In {month} {animal} come to the door and ask for crumbs.",
            [
                ("Who runs the tea house?", "person"),
                ("What does the tea house serve?", "food"),
                ("How many tables does the tea house have?", "number"),
                ("What was the aunt called?", None),
                ("Which tea is the most expensive?", None),
            ],
        ),
        (
            "The lake steamer of {town} has carried travellers since {year}. Its captain, {person}, has sailed around the lake {number} times. "
            "Every {month} the boat stops at an island of {stone}, where {animal} live.",
            [
                ("Since when has the steamer carried travellers?", "year"),
                ("Who is the captain of the steamer?", "person"),
                ("What lives on the island?", "animal"),
                ("How fast is the steamer?", None),
                ("Which colour is the steamer?", None),
            ],
        ),
        (
            "A tunnel through the hill of {town} was dug by {number} miners. They began in {month} under {person} and soon struck {stone}, "
            "so that the work ended only in {year}.",
            [
                ("How many miners dug the tunnel?", "number"),
                ("In which month did the miners begin?", "month"),
                ("When did the work end?", "year"),
                ("How long is the tunnel?", None),
                ("How much were the miners paid?", None),
            ],
        ),
    ],
}
