"""The productions of which harmless texts are composed: names as people and companies have them, the same and notes beside them
in small letters, and names that happen to be made of the words and marks that attacks are made of."""

from __future__ import annotations

from typing import Final

from grammar import Grammar

_NAMES: Final[dict[str, list[str]]] = {
    "first": ["Alice", "Bob", "Carol", "Jean-Luc", "María José", "Jürgen", "Zoë", "Siân", "D'Arcy", "N'Golo", "Ma'ayan", "Jo Ann", "Xi", "Sú", "Drew", "Grant", "Bill", "Mark", "Rob", "Art", "Pat", "Ed", "Will", "Chase", "Dean", "Юлия", "Ολυμπία", "שרה", "محمد", "美咲", "Nguyễn", "Łukasz", "Søren", "Ngozi", "Raúl", "Wm.", "J.R.", "K.", "Ada", "Ivo"],
    "last": ["Smith", "O'Brien", "O’Neill", "D'Angelo", "St. John", "van der Berg", "de la Cruz", "Müller-Lüdenscheidt", "McDonald", "Ng", "Truong", "Sato", "Иванов", "Παπαδόπουλος", "כהן", "王", "김", "N'Diaye", "Ó Súilleabháin", "L'Esperance", "al-Masri", "Te Rangi", "Øvergård", "Đặng"],
    "title": ["Dr. ", "Prof. ", "Mr ", "Ms. ", "Hon. ", "Sgt. ", "Fr. ", "Rev. ", "Capt. ", "Dipl.-Ing. "],
    "after": [" Jr.", ", Jr.", " III", ", PhD", " (MD)", ", Esq.", " - CPA", ", R.N.", " M.D., P.A.", " '99", " (ret.)"],
    "trade": ["Plumbing", "Bakery", "Dental", "Law", "Auto Body", "Travel", "Pizza", "Hardware", "Insurance", "Catering", "Tiles", "Candles", "Music", "Roofing", "Optik", "Bau", "Fleurs", "Libros", "Физика", "寿司"],
    "form": ["Inc.", "Ltd.", "LLC", "GmbH & Co. KG", "S.A. de C.V.", "Pty. Ltd.", "B.V.", "& Sons", "& Co.", "+ Partners", "Bros.", "e.V.", "AG", "Group, L.P.", "(UK) plc", "S.p.A.", "Oy", "d.o.o.", "K.K.", "A/S"],
    "city": ["Boise; ID", "Salem, OR", "Kansas City", "Winston-Salem", "Coeur d'Alene", "Land O' Lakes", "St. Mary's", "Ciudad de México", "Frankfurt/Main", "Stoke-on-Trent", "’s-Hertogenbosch", "Val-d'Or", "Truth or Consequences, NM", "Portland, OR 97201", "Washington, D.C.", "Île-de-France"],
    "place": ["Room", "Suite", "Floor", "Desk", "Lobby", "Warehouse", "Dock", "Gate", "Lab", "Line", "Ext", "Ext.", "Building", "Bay", "Table", "Apt", "Unit", "Wing"],
    "number": ["1", "2", "4", "7", "12", "100", "201", "3301", "0", "#5", "No. 3", "4B", "2-A", "1/2", "24/7", "1+1"],
    "dept": ["Sales", "Support", "Front Desk", "Billing", "R&D", "Q & A", "Night Shift", "IT/Ops", "HR", "After Hours", "Accounts Payable", "Emergency", "Fax", "Reception", "Shipping & Receiving", "Service (24h)", "On-Call", "Drop-In Center", "Exec", "Vertrieb", "Приёмная"],
    "person": ["«first» «last»", "«last», «first»", "«title»«first» «last»", "«first» «last»«after»", "«first» «last»-«last»", "«first» & «first» «last»", "«first» and «first» «last»", "«first» \"«first»\" «last»", "«first» (\"«first»\") «last»", "«first» '«first»' «last»", "«last»; «first»", "«last»/«first»", "«first».«last»", "«first» «last» («dept»)", "«first» «last» - «dept»", "[«number»] «first» «last»", "«first» <«number»>", "«first» @ «dept»", "«first» «last» x«number»", "«first» «last» *«number»", "«first» «last» | «dept»", "«first»_«last»"],
    "company": ["«last» «trade» «form»", "«last» & «last» «trade»", "«last», «last» & «last» «form»", "«first»'s «trade»", "«last»’s «trade»", "«trade» & More", "The «trade» Co.", "«trade» \"«last»\" «form»", "«last» + «last»", "«trade»-«trade» «form»", "«trade» @ «city»", "«last» «trade», «city»", "«trade» (Pty) Ltd", "#1 «trade»", "A-1 «trade»", "24/7 «trade»", "«trade»!", "¡«trade»!", "«trade»*", "«trade».com", "«trade» 4 U", "«trade»: «city»", "«trade» — «city»", "Rock 'n' Roll «trade»", "'«last»' «trade»", "«last»|«last»", "50% Off «trade»", "100% «trade»", "$1 «trade»", "«trade» $ave"],
    "line": ["«dept»", "«dept» «number»", "«place» «number»", "«place» «number» («dept»)", "«dept»; «place» «number»", "«place» «number» & «number»", "«place»s «number» and «number»", "«place»s «number» or «number»", "«dept» -- «place» «number»", "«dept» - «place» «number»", "«dept»: «place» «number»", "«dept», «city»", "«place» #«number»", "«dept» [«place» «number»]", "«dept» («number»)", "«dept» = «number»", "«dept» > «place» «number»", "*«dept»*", "«dept» «number» | «city»", "«number»-«number»", "«dept»/«dept»"],
    "ordinary": ["«person»", "«person»", "«company»", "«company»", "«line»"],
}  # fmt: skip

#: Names, companies and lines as telephones show them.
ORDINARY: Final = Grammar(_NAMES)

#: What small letters are written into besides names: who is called, where, and what for.
_NOTES: Final[dict[str, list[str]]] = {
    "state": ["id", "or", "in", "me", "ma", "pa", "la", "al", "ok", "oh", "co", "ca", "de", "fl", "hi", "il", "md", "mi", "mo", "mt", "nc", "nd", "ne", "nh", "nj", "nm", "nv", "ny", "ri", "sc", "sd", "tn", "tx", "ut", "va", "vt", "wa", "wi", "wv", "wy", "dc", "pr"],
    "town": ["boise", "salem", "portland", "kansas city", "san josé", "st. paul", "new york", "coeur d'alene", "o'fallon", "wien", "linz", "são paulo", "gdańsk", "springfield", "bath", "cork", "split", "nice", "rome", "reading", "tours", "bergen"],
    "activity": ["touch", "cut", "sort", "find", "more", "less", "head", "tail", "kill", "sleep", "mail", "make", "time", "date", "watch", "look", "join", "split", "paste", "fold", "expand", "install", "mount", "route", "host", "start", "service", "test", "exit", "reset", "sync", "link", "column", "patch", "wall", "write", "at", "who", "nice", "yes", "source", "print", "strings", "calc", "type", "copy", "move", "cat", "ruby", "perl", "python", "bash", "dash", "echo", "ping", "wish", "node", "select", "union", "order", "drop", "update", "delete", "table", "where", "like", "case", "end", "set", "go", "open", "lock", "trap", "read", "let", "shift", "return", "break", "function", "system", "exec", "answer", "play", "swim", "dance", "ski", "yoga", "bake", "repair", "clean", "deliver", "ship", "paint", "teach", "learn", "visit", "book", "order", "pay", "rent", "sell", "buy", "fix", "wash", "dry", "pack", "park", "ride", "drive", "fly", "sail", "run", "walk", "climb", "jump", "sing", "rehearse", "train", "heal", "care", "guard", "greet", "meet", "plan", "build", "weld", "plumb", "wire", "roof", "mow", "plant", "cook", "eat", "drink", "brew", "roast", "grill", "serve", "taste", "shop", "style", "trim", "shave", "tan", "relax", "rest", "stay", "travel", "tour", "film", "record", "edit", "bill", "audit", "file", "scan", "fax"],
    "thing": ["desk", "screen", "office", "shop", "phone", "gate", "door", "lobby", "kitchen", "bar", "grill", "salon", "garage", "pool", "court", "store", "school", "clinic", "studio", "truck", "pilot", "team", "line", "lab", "wc", "tv", "hq", "mv", "pc", "hotel", "bank", "crew", "van"],
    "when": ["monday", "after 5", "at 17:00", "9-5", "mon-fri", "tomorrow", "tonight", "24/7", "in july", "next week", "11/29", "now", "noon", "asap", "8 a.m."],
    "link": ["; ", "; ", ";", " ; ", " > ", " > ", " -> ", " >> ", " | ", " | ", "|", " & ", " & ", "&", " + ", " - ", " – ", " / ", "/", ", ", ": ", " * ", " ~ ", " = ", " < ", " » ", " · ", " -- ", " || ", " && "],
    "unit": ["«thing»", "«thing» «number»", "«activity» «thing»", "«activity»", "«first»", "«last»", "«first» «last»", "«dept»", "«town»", "«place» «number»", "«trade»"],
    "note": ["«unit»«link»«unit»", "«unit»«link»«unit»", "«unit»«link»«unit»«link»«unit»", "«town»; «state»", "«town»,«state»", "«town» - «state»", "«last»; «town»; «state»", "«trade» «town»;«state»", "«first» «last» > «thing»", "«dept»>«thing»", "«dept» > «place» > «number»", "out of office; back «when»", "«thing» closed; call «first»", "on call: «first»; «when»", "«activity» & «activity»", "«activity» & «activity» «form»", "«activity»&«activity»", "the «activity» «thing»; «town»", "call «first» or «last»", "ask for «first»; if busy, «last»", "«first»;«first»", "«last»;«first»", "«number»;«first»", "«number»|«dept»", "«dept»;«number»", "«thing»>«thing»", "«thing» >«thing»", "«first»|«last»", "«first» «last»;«dept»", "(«dept») «first»", "«first»'s «thing»; «when»", "'«activity»' «thing»", "\"«activity» «thing»\"", "«number» «thing»; «number» «thing»", "«thing» or «number»", "«number» or «number»", "«thing» #«number»; «dept»", "«activity» at «town»; «when»", "«first» and «first»; «activity» «thing»", "«when»; «first» «last»", "back «when»", "«activity» «thing» & «activity»", "«thing» = «number»", "«dept» <«number»>", "«thing» (new); «activity» «when»", "not «when»; «when»", "«thing» -«number»", "- «thing» -", "-> «thing»", "> «thing»", "«thing» >", "& «first»", "«first» &", "«first»;", "; «first»", "re: «activity» «thing»", "fwd: «thing»; «activity»", "to: «first»; cc: «last»", "wg: «thing» & «activity»"],
}  # fmt: skip

#: The same names in small letters, as people and telephone systems write them too, and notes; of two texts one is a name.
SMALL: Final = Grammar(
    {
        **{name: list(dict.fromkeys(text.lower() for text in texts)) for name, texts in _NAMES.items()},
        **_NOTES,
        "small": ["«ordinary»", "«note»"],
    }
)

_WORDS: Final[dict[str, list[str]]] = {
    **_NAMES,
    "last": [*_NAMES["last"], "Null", "Select", "Union", "Order", "Table", "Case", "Drop", "Where", "Cat", "Head", "Kill", "Bash", "And", "Or"],
    "word": ["Select", "Union", "Drop", "Delete", "Update", "Insert", "Where", "From", "Order By", "Group", "Table", "Exec", "Null", "Like", "Between", "Having", "Into", "Set", "Values", "Join", "Limit", "Create", "Alter", "Truncate", "Grant", "Declare", "Case", "When", "Then", "Else", "End", "Cat", "Touch", "Head", "Tail", "Sort", "More", "Less", "Kill", "Reboot", "Shutdown", "Sleep", "Echo", "Find", "Cut", "Split", "Paste", "Join", "Date", "Time", "Who", "Host", "Mail", "Make", "Route", "Wall", "Watch", "Bash", "Shell", "Script", "Alert", "Script", "Image", "System", "Eval", "Function", "Return", "Password", "Root", "Admin", "Passwd", "Echo", "Ping", "Python", "Ruby", "Perl", "Node", "Curl", "Nice", "Env", "Test", "True", "False", "Not", "Exists", "All", "Any", "Some"],
    "mark": ["; ", " & ", " - ", " -- ", ", ", ": ", " | ", " / ", " + ", " = ", " > ", " # ", " or ", " and ", "'s ", "’s ", " (", " ~ ", " * ", " ! ", "... "],
    "made": ["«word»«mark»«word»", "«last»«mark»«word» «trade»", "«word» «trade»«mark»«city»", "«word» & «word» «form»", "«word» of «last»; «word»", "The «word» «word» «form»", "«first» «word»", "«word» «last» (cell)", "«word» from «city»", "«word» from the «word»", "«word» into «city»", "«word» the «word»", "«word» «word» «word»", "'«word»' «trade»", "\"«word» «word»\"", "«last»'s «word» & «word»", "O'«word»", "«word»; «word» «number»", "«word» or «number»", "«word» and «number»", "«number» or «number» «word»", "«word»-«word»-«word»", "«word»=«word»", "«word» (now)", "«word»(24h)", "«word» #«number»", "«word» -- «word»", "«word»/«word»", "«word» where «word»", "«word» > «word»", "<«word»>", "«word» | «word»", "$«number» «word»", "{«word»}", "[«word»]", "`«word»`", "«word» * «city»", "«word» «number»; «word» «number»", "«word» table «number»", "«word» '«number»", "«word»@«city»"],
}  # fmt: skip

#: Texts that read like attacks, and are none.
LOOKALIKES: Final = Grammar(_WORDS)
