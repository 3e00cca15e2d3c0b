"""The productions of which harmless texts are composed: names as people and companies have them, and names that happen to be
made of the words and marks that attacks are made of."""

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

_WORDS: Final[dict[str, list[str]]] = {
    **_NAMES,
    "last": [*_NAMES["last"], "Null", "Select", "Union", "Order", "Table", "Case", "Drop", "Where", "Cat", "Head", "Kill", "Bash", "And", "Or"],
    "word": ["Select", "Union", "Drop", "Delete", "Update", "Insert", "Where", "From", "Order By", "Group", "Table", "Exec", "Null", "Like", "Between", "Having", "Into", "Set", "Values", "Join", "Limit", "Create", "Alter", "Truncate", "Grant", "Declare", "Case", "When", "Then", "Else", "End", "Cat", "Touch", "Head", "Tail", "Sort", "More", "Less", "Kill", "Reboot", "Shutdown", "Sleep", "Echo", "Find", "Cut", "Split", "Paste", "Join", "Date", "Time", "Who", "Host", "Mail", "Make", "Route", "Wall", "Watch", "Bash", "Shell", "Script", "Alert", "Script", "Image", "System", "Eval", "Function", "Return", "Password", "Root", "Admin", "Passwd", "Echo", "Ping", "Python", "Ruby", "Perl", "Node", "Curl", "Nice", "Env", "Test", "True", "False", "Not", "Exists", "All", "Any", "Some"],
    "mark": ["; ", " & ", " - ", " -- ", ", ", ": ", " | ", " / ", " + ", " = ", " > ", " # ", " or ", " and ", "'s ", "’s ", " (", " ~ ", " * ", " ! ", "... "],
    "made": ["«word»«mark»«word»", "«last»«mark»«word» «trade»", "«word» «trade»«mark»«city»", "«word» & «word» «form»", "«word» of «last»; «word»", "The «word» «word» «form»", "«first» «word»", "«word» «last» (cell)", "«word» from «city»", "«word» from the «word»", "«word» into «city»", "«word» the «word»", "«word» «word» «word»", "'«word»' «trade»", "\"«word» «word»\"", "«last»'s «word» & «word»", "O'«word»", "«word»; «word» «number»", "«word» or «number»", "«word» and «number»", "«number» or «number» «word»", "«word»-«word»-«word»", "«word»=«word»", "«word» (now)", "«word»(24h)", "«word» #«number»", "«word» -- «word»", "«word»/«word»", "«word» where «word»", "«word» > «word»", "<«word»>", "«word» | «word»", "$«number» «word»", "{«word»}", "[«word»]", "`«word»`", "«word» * «city»", "«word» «number»; «word» «number»", "«word» table «number»", "«word» '«number»", "«word»@«city»"],
}  # fmt: skip

#: Texts that read like attacks, and are none.
LOOKALIKES: Final = Grammar(_WORDS)
