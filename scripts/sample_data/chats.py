"""Phrases for short chats with the help desk of a small library. Written for repdrift."""

SYSTEM = "You are the help desk of a small library. Answer in one or two short sentences."

BOOKS = {
    "train": [
        "The Glass Orchard", "Salt and Timber", "A Map of Winter", "The Ferryman's Daughter", "Nine Quiet Rooms", "Bread for Sparrows",
        "The Clockmaker's Hill", "Under the Tin Roof", "Letters to Ostrava", "The Blue Ledger",
    ],
    "validation": ["The Paper Lighthouse", "Ash Lane", "Three Summers in Umbria", "The Beekeeper's Notes", "Last Train to Harrow"],
}  # fmt: skip
DAYS = {"train": ["Monday", "Tuesday", "Thursday", "Saturday"], "validation": ["Wednesday", "Friday"]}
HOURS = {"train": ["eight", "nine", "two", "four", "seven"], "validation": ["ten", "three", "six"]}
NUMBERS = {"train": ["4", "7", "12", "15", "18", "21"], "validation": ["5", "9", "14", "20"]}

TALKS = [
    (
        ["Can I keep {book} a little longer?", "I need more time for {book}.", "Please renew {book} for me."],
        "Of course. {book} is renewed until {day}.",
    ),
    (
        [
            "Please put {book} aside for me.",
            "Could you keep {book} at the desk?",
            "I would like to pick up {book} later.",
        ],
        "With pleasure. {book} waits at the desk until {day}.",
    ),
    (
        ["When are you open on {day}?", "What are your hours on {day}?", "Can I come by on {day}?"],
        "On {day} we open at {hour} and close two hours after sunset.",
    ),
    (
        [
            "Is a study room free on {day}?",
            "I am looking for a quiet room on {day}.",
            "Can we work together somewhere on {day}?",
        ],
        "Yes, room {number} is free on {day} from {hour}. It is yours.",
    ),
    (
        ["I have lost {book}.", "I cannot find {book} anywhere.", "My dog has eaten {book}."],
        "That is a pity. {book} costs {number} euros to replace, and you have until {day}.",
    ),
    (
        ["Where do I find {book}?", "Which shelf has {book}?", "Do you have {book}?"],
        "{book} stands on shelf {number}, near the window.",
    ),
]
"""What a visitor asks, in several forms, and what the desk answers."""

FAREWELLS = [
    (["Thank you!", "Thanks a lot.", "Perfect, thank you."], "You are welcome. Enjoy your reading."),
    (["Who are you, by the way?", "Am I talking to a person?"], "I am the help desk of the library. A person sits here on {day}."),
    (["Can I eat in the library?", "May I bring coffee?"], "Only in the hall, please. The books do not like crumbs."),
]  # fmt: skip
"""Second questions of a chat, which go with every first one."""
