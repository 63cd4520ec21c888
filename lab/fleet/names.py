"""Names for the fleet. Every domain is under example.com (RFC 2606)."""

from __future__ import annotations

DOMAIN = "corp.example.com"
ORGANIZATION = "Example Corp"

FIRST = (
    "Alice", "Amine", "Anaïs", "Boris", "Camille", "Chloé", "Dario", "Elena", "Émile", "Fatou", "Gaëlle", "Hugo",
    "Inès", "Jürgen", "Kenji", "Léa", "Łukasz", "Maëlys", "Nadia", "Olivier", "Priya", "Quentin", "Rosa", "Søren",
    "Théo", "Ugo", "Valérie", "Wei", "Ximena", "Yasmine", "Zoé",
)  # fmt: skip
LAST = (
    "Abadie", "Bernard", "Costa", "Dubois", "Ekström", "Fournier", "García", "Hoffmann", "Ivanov", "Jansen",
    "Kowalski", "Lefèvre", "Martin", "Nguyen", "O’Brien", "Petit", "Quintero", "Rossi", "Sánchez", "Tanaka", "Ueda",
    "Vasquez", "Weber", "Xu", "Yılmaz", "Zimmermann",
)  # fmt: skip
SITES = ("Paris", "Lyon", "Rennes", "Genève", "Frankfurt", "Montréal")
SITE_CODES = ("PAR", "LYO", "REN", "GVA", "FRA", "MTL")
TEAMS = ("Default Group", "Finance", "Engineering", "Sales", "Human Resources", "Legal", "Production", "Laboratory")

PLAIN = str.maketrans("ÀÂÄÇÉÈÊËÎÏÔÖÙÛÜàâäáçéèêëíîïóôöøùûüúłŁıñ’", "AAACEEEEIIOOUUUaaaaceeeeiiioooouuuulLin ")
"""Makes a login of a name: letters lose their accents."""
