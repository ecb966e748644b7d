"""Opinions: for each subject, things one would praise and things one would complain about."""

# subject: (praise, complaints). Every phrase completes "SUBJECT ...".
SUBJECTS = {
    "train": {
        "the soup of the day": (
            [
                "tastes as if somebody's grandmother made it",
                "arrives hot and full of fresh herbs",
                "is reason enough to come back",
            ],
            ["tastes mostly of salt", "arrives lukewarm and thin", "could have come out of a tin"],
        ),
        "the second season": (
            [
                "keeps every promise of the first",
                "moves at a lovely, unhurried pace",
                "gives each character room to grow",
            ],
            ["repeats the first without its charm", "drags from the opening scene", "forgets half of its own plot"],
        ),
        "the hotel lobby": (
            ["makes you feel welcome at once", "is bright, quiet and spotless", "smells of cedar and fresh coffee"],
            ["smells of damp carpet", "is loud at every hour of the night", "looks as if nobody has swept it in weeks"],
        ),
        "the new tram line": (
            ["gets me to work in half the time", "is punctual even in the snow", "has wide seats and a calm ride"],
            ["breaks down every other morning", "is packed to the doors by seven", "stops nowhere near the station"],
        ),
        "her first novel": (
            [
                "reads like a letter from an old friend",
                "is funny and sad in the same sentence",
                "earns every one of its tears",
            ],
            [
                "buries a good idea under dull chapters",
                "is clumsy from the first page",
                "ends just as it becomes bearable",
            ],
        ),
        "the garden tour": (
            [
                "is a delight from gate to gate",
                "leaves plenty of time to look around",
                "is led by people who love their roses",
            ],
            [
                "is over before it begins",
                "shows little but parked cars",
                "is led by somebody who would rather be elsewhere",
            ],
        ),
        "the puppet show": (
            [
                "had the children laughing until they hiccupped",
                "is inventive and warm",
                "makes an hour feel like a minute",
            ],
            ["had the children asking to go home", "is noisy and mean", "makes an hour feel like a week"],
        ),
        "this pair of boots": (
            ["kept my feet dry for a whole winter", "is as comfortable as slippers", "looks better every year"],
            ["let the rain in on the first day", "rubs my heels raw", "fell apart within a month"],
        ),
        "the audio guide": (
            ["tells its stories with wit", "is clear and never too long", "makes old stones come alive"],
            ["drones on without a point", "is full of mistakes", "makes even dragons sound boring"],
        ),
        "the choir's new recording": (
            ["glows from start to finish", "is sung with rare tenderness", "catches every breath of the hall"],
            ["sounds flat and tired", "is sung without any feeling", "drowns the voices in echo"],
        ),
        "the neighbourhood bakery": (
            ["sells the best rye bread in town", "greets everybody by name", "is worth the early queue"],
            ["sells yesterday's rolls as fresh", "greets nobody at all", "is never open when it says so"],
        ),
        "the documentary about bees": (
            ["is patient and full of wonder", "taught me something every minute", "looks gorgeous on a large screen"],
            ["is preachy and shallow", "taught me nothing new", "looks like a hurried school project"],
        ),
        "the repair service": (
            ["fixed my bicycle while I waited", "is honest about what can be saved", "charges less than it promised"],
            ["kept my bicycle for a month", "is rude on the telephone", "charges twice what it promised"],
        ),
        "the board game": (
            ["is easy to learn and hard to put away", "brought the whole family together", "rewards clever play"],
            ["is a chore from the first turn", "made the whole family quarrel", "rewards nothing but luck"],
        ),
        "the evening class": (
            ["is lively and well prepared", "gave me the courage to paint again", "flies by each week"],
            ["is chaotic and badly prepared", "took away all my joy in painting", "crawls along each week"],
        ),
        "the lake cabin": (
            [
                "is cosy even when it storms",
                "has a view that silences everybody",
                "comes with dry firewood and good lamps",
            ],
            ["is freezing even in June", "has a view of a car park", "comes with mice and a broken stove"],
        ),
        "the school play": (
            ["was charming and full of energy", "made every parent proud", "had brilliant costumes"],
            ["was dull and far too long", "embarrassed everybody in the room", "had terrible sound"],
        ),
        "the corner shop": (
            ["sells excellent fruit", "is my favourite place in town", "has friendly and quick staff"],
            ["sells rotten fruit", "is the worst place in town", "has rude and slow staff"],
        ),
        "the new phone": (
            ["is fast and reliable", "takes beautiful pictures", "is a joy to use"],
            ["is slow and unreliable", "takes blurry pictures", "is a pain to use"],
        ),
        "the detective story": (
            ["is gripping until the last line", "has a clever and satisfying ending", "kept me reading all night"],
            ["is predictable and lifeless", "has a silly and disappointing ending", "nearly put me to sleep"],
        ),
        "the swimming lesson": (
            ["was fun and safe", "gave my son confidence", "was taught with great patience"],
            ["was frightening and careless", "made my son cry", "was taught by a bully"],
        ),
        "the rented flat": (
            ["was sunny and clean", "felt like home", "exceeded all our hopes"],
            ["was dark and dirty", "felt like a prison", "was a bitter disappointment"],
        ),
        "the jazz trio": (
            ["was superb", "delighted the whole audience", "played with passion and humour"],
            ["was dreadful", "annoyed the whole audience", "played without any energy"],
        ),
        "the delivery": (
            ["came early and in perfect condition", "was handled with care", "made my day"],
            ["came late and broken", "was handled with contempt", "ruined my day"],
        ),
        "the walking guide": (
            ["is accurate and beautifully written", "is a treasure for every walker", "never let us down"],
            ["is badly written and full of errors", "is a waste of paper", "let us down at every turn"],
        ),
        "the family doctor": (
            ["is kind and attentive", "listens with real interest", "inspires trust"],
            ["is cold and impatient", "never listens", "inspires nothing but fear"],
        ),
        "the winter coat": (
            ["is warm, light and elegant", "was a wonderful bargain", "gets compliments everywhere"],
            ["is heavy, ugly and cold", "was a horrible mistake", "lost its buttons within a week"],
        ),
        "the science podcast": (
            ["is fascinating and easy to follow", "explains hard ideas brilliantly", "makes me smile on every walk"],
            ["is boring and confusing", "explains simple ideas badly", "makes me angry on every walk"],
        ),
    },
    "validation": {
        "the fish curry": (
            [
                "is gentle, bright and generous",
                "made me close my eyes with pleasure",
                "beats anything I have cooked myself",
            ],
            ["is greasy and grey", "made me push the plate away", "was cold in the middle"],
        ),
        "the night train": (
            [
                "rocked me into the best sleep in years",
                "is spotless and right on time",
                "turns a long trip into a treat",
            ],
            ["kept me awake until dawn", "is filthy and hours late", "turns a short trip into an ordeal"],
        ),
        "the museum café": (
            ["pours wonderful coffee under old trees", "is a peaceful place to read", "bakes a perfect lemon cake"],
            ["pours bitter coffee into paper cups", "is too noisy to think in", "serves cake as dry as sand"],
        ),
        "his debut film": (
            ["is tender without being sweet", "surprised me again and again", "looks splendid on a tiny budget"],
            ["is hollow behind its pretty pictures", "bored me within ten minutes", "wastes a splendid cast"],
        ),
        "the language course": (
            ["made me speak from the first day", "is playful and well paced", "is worth every coin"],
            ["made me afraid to open my mouth", "is dull and rushed", "is not worth a coin"],
        ),
        "the city bicycle scheme": (
            ["works without a hitch", "has made my mornings happier", "puts a sturdy bicycle on every corner"],
            ["fails whenever it rains", "has made my mornings miserable", "offers nothing but flat tyres"],
        ),
        "the string quartet": (
            ["played with fire and grace", "held the hall in perfect silence", "made a difficult piece sing"],
            ["played as if counting the minutes", "lost the hall within one movement", "made an easy piece sound ugly"],
        ),
        "the weather app": (
            ["has been right all month", "is simple and pleasant to use", "saved our picnic"],
            ["has been wrong all month", "is slow and cluttered", "ruined our picnic"],
        ),
        "the open-air concert": (
            ["was magical under the stars", "lifted everybody's mood", "is my best memory of the summer"],
            ["was a muddy disaster", "spoiled everybody's mood", "is my worst memory of the summer"],
        ),
        "the tax adviser": (
            ["is helpful and precise", "saved me a lot of money", "answers with a smile"],
            ["is useless and vague", "cost me a lot of money", "answers with a sneer"],
        ),
        "the cooking show": (
            ["is cheerful and inspiring", "made me hungry for more", "has a lovable host"],
            ["is loud and empty", "made me switch it off at once", "has an unbearable host"],
        ),
        "the hair salon": (
            ["gave me a gorgeous cut", "treats its guests like friends", "is worth a long drive"],
            ["gave me a hideous cut", "treats its guests like a nuisance", "is not worth a visit"],
        ),
    },
}
# How an opinion is put: {s} the subject, {a} and {a2} what is thought of it.
FORMS = {
    "train": [
        "{s} {a} .",
        "i must say that {s} {a} .",
        "once again , {s} {a} .",
        "ask anybody in town : {s} {a} .",
        "{s} {a} , and what is more , it {a2} .",
        "not only is it true that {s} {a} , it also {a2} .",
        "i went twice , and both times {s} {a} .",
    ],
    "validation": [
        "{s} {a} .",
        "to my mind {s} {a} .",
        "in short , {s} {a} .",
        "{s} {a} , and on top of that it {a2} .",
        "my sister told me that {s} {a} , and that it {a2} .",
    ],
}
