"""Short passages with questions. Slots in a passage are facts; a question names the slot that answers it, or None."""

# slot: values for train, values for validation
SLOTS = {
    "town": (
        ["Lindmoor", "Oakhaven", "Port Alder", "Brightwater", "Sandvika", "Fernleigh"],
        ["Velden", "Eastmere", "Harrow Bay", "Stonebridge"],
    ),
    "person": (
        ["Amara Lind", "Tomas Okafor", "Greta Weiss", "Elif Kaya", "Jonas Berg", "Mina Park"],
        ["Ines Moreau", "Kofi Mensah", "Liam Byrne", "Yuki Tanaka"],
    ),
    "year": (["1872", "1895", "1911", "1936", "1958", "1964"], ["1884", "1903", "1927", "1949"]),
    "number": (["twelve", "twenty", "thirty", "forty", "ninety"], ["fifteen", "fifty", "sixty", "eighty"]),
    "stone": (["red granite", "pale limestone", "dark slate"], ["grey sandstone", "white marble"]),
    "food": (["smoked trout", "rye bread", "plum cake"], ["goat cheese", "barley soup"]),
    "month": (["March", "May", "September", "October"], ["April", "June", "November"]),
    "animal": (["otters", "storks", "wild ponies"], ["red foxes", "grey herons"]),
}
# (passage, [(question, slot or None), ...])
PASSAGES = [
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
]
