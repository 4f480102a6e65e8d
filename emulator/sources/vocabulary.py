"""Words for invented companies, properties, people and documents; nobody real is meant."""

from __future__ import annotations

from emulator.sources.schemas import EXCLUDED_COMPANY_SHORT_IDS, EXEMPT_COMPANY_ID, EXEMPT_COMPANY_NAME

# Properties that exclusions by name are about. An excluded word stands alone, whatever stands around it ...
EXCLUDED_PROPERTY_NAMES = (
    "Test Property",
    "Demo Gardens",
    "DELETED - Harbor View",
    "Maple Court (duplicate)",
    "Integration Sandbox Lofts",
    "QA Towers",
    "sunset lofts qa",
    "test-property/2",
    "[Demo] Río Verde",
    "Cedar Flats, deleted",
)
# ... and a longer word that only begins, ends or holds one is none.
KEPT_PROPERTY_NAMES = (
    "Testament Apartments",
    "Aqaba Towers",
    "Demotte Village",
    "Attested Heights",
    "Reintegration House",
    "Qatar Street Lofts",
    "Contest Row",
    "Undeleted Pines",
)
SPECIAL_PROPERTY_NAMES = EXCLUDED_PROPERTY_NAMES + KEPT_PROPERTY_NAMES

# (id or None for a drawn one, name, short id or None for a drawn one) of the companies with the lowest keys.
SPECIAL_COMPANIES: tuple[tuple[str | None, str, str | None], ...] = (
    (EXEMPT_COMPANY_ID, EXEMPT_COMPANY_NAME, "DEMOPTR"),
    *((None, f"Quarry Lane Holdings {n}", s) for n, s in enumerate(EXCLUDED_COMPANY_SHORT_IDS, 1)),
    (None, "Test Company LLC", None),
    (None, "Bluebird QA Homes", None),
    (None, "Testa & Söhne Immobilien", None),
    (None, "Aqaba Demotic Realty", None),
)

EXCLUDED_WORDS = ("Test", "Demo", "DELETED", "(duplicate)", "Integration", "QA")

FIRST_NAMES = (
    "Zoë José Łukasz Ngozi Björk Anaïs Søren Mei Olu Priya Дмитрий Αλέξης 美咲 이준 Thị-Hà Renée Iñigo Fatima Grace Omar "
    "Lena Marcus Ivy Caleb Nadia Theo Rosa Felix June Amara"
).split()
LAST_NAMES = (
    "Okonkwo García Müller Nguyễn O’Brien Kowalska Håkansson D'Angelo Петрова 李 Østergård Ferreira-Lima Yıldız Haddad "
    "Novák Castañeda Whitfield Abernathy Sato Mbeki Larsen Quintero Halloran Iyer Brandt Osei Lindgren Peralta Voss Tanaka"
).split()
ADJECTIVES = (
    "Amber Birch Cedar Copper Crystal Elm Golden Granite Harbor Hidden Ivory Juniper Laurel Lunar Maple Meadow Olive "
    "Orchard Pine Quiet River Silver Stone Sunset Willow Río Belleza Château Über Ñandú"
).split()
PLACES = (
    "Apartments Commons Court Crossing Flats Gardens Grove Heights Landing Lofts Park Place Point Ridge Villas".split()
)
FIRM_WORDS = "Residential Holdings Management Living Communities Realty Partners Homes Housing Properties".split()
STREETS = "Alder Bay Canal Dover Easton Fjord Garnet Hollis Inlet Jasper Keel Lark Mason Nectar Orchid".split()
CITIES = (
    "Altonville|Brackwater|Cinder Falls|Dunmore Heights|Eastmarsh|Fallow Springs|Gullhaven|Harrow City|Islay Point|"
    "Juniper Bend|Königsfeld|Lago Azul|Mirefield|New Torrance|Oakmere"
).split("|")
STATES = "AZ CA CO FL GA IL MA MI NC NJ NV NY OH OR PA TN TX UT VA WA".split()
INVALID_STATES = ("California", "Tex", "N.Y.", "f")
EMPLOYERS = (
    "Acorn & Ash Bakery|Blue Kettle Diner|Copperline Freight|Dovetail Joinery|Elmtree Clinic|Fernhill School|Garnet Labs|"
    "Hálogen Média|Ironwood Foundry|Juno Logistics|Kestrel Air|Ļaudis Foods|Meridian Tailors|Nimbus Câfé|Opal Hardware"
).split("|")
NOTES = (
    "Generated note: applicant will send a newer statement.",
    'Generated note: page 2 is cut off; "please" re-scan, thanks!',
    "Generated note: naïve façade — checked twice, ok.",
    "Generated note: 給与明細を確認済み",
    "Generated note: tab\tand line\nbreak kept as they are.",
    "",
)
EDITED_REASONS = (
    "font mismatch",
    "amount altered",
    "metadata changed",
    "name, altered",
    "date altered",
    "balance does not add up",
)
INSUFFICIENT_REASONS = ("unreadable scan", "pages missing", "not a supported document", "older than 60 days")
REJECTION_REASONS = ("income below threshold", "document expired", "name does not match", "unsupported source")
DOCUMENT_TYPES = {
    "paystub": 46.0,
    "bank_statement": 27.0,
    "w2": 9.0,
    "tax_return": 7.0,
    "offer_letter": 4.0,
    "social_security_letter": 3.0,
    "cash_app_statement": 2.0,
    "other": 2.0,
}
