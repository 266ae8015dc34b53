"""What places are also called: the people of a country, and the codes of states."""

from collections.abc import Mapping

_COUNTRIES = """
afghanistan: afghan; albania: albanian; algeria: algerian; argentina: argentine, argentinian;
armenia: armenian; australia: australian; austria: austrian; bangladesh: bangladeshi;
belgium: belgian; bolivia: bolivian; brazil: brazilian; bulgaria: bulgarian; canada: canadian;
chile: chilean; china: chinese; colombia: colombian; croatia: croatian; cuba: cuban;
cyprus: cypriot; czech republic, czechia: czech; denmark: danish; ecuador: ecuadorian;
egypt: egyptian; england: english; estonia: estonian; ethiopia: ethiopian; finland: finnish;
france: french; georgia: georgian; germany: german; ghana: ghanaian; greece: greek;
hungary: hungarian; iceland: icelandic; india: indian; indonesia: indonesian; iran: iranian;
iraq: iraqi; ireland: irish; israel: israeli; italy: italian; jamaica: jamaican; japan: japanese;
jordan: jordanian; kenya: kenyan; kuwait: kuwaiti; latvia: latvian; lebanon: lebanese;
lithuania: lithuanian; malaysia: malaysian; mexico: mexican; mongolia: mongolian;
morocco: moroccan; nepal: nepali, nepalese; netherlands, holland, the netherlands: dutch;
new zealand, nz: kiwi; nigeria: nigerian; norway: norwegian; pakistan: pakistani;
panama: panamanian; peru: peruvian; philippines, the philippines: filipino; poland: polish;
portugal: portuguese; romania: romanian; russia, russian federation: russian;
saudi arabia: saudi; scotland: scottish;
serbia: serbian; singapore: singaporean; slovakia: slovak; slovenia: slovenian;
south africa: south african; south korea, korea: korean, south korean; spain: spanish;
sweden: swedish; switzerland: swiss; syria: syrian; taiwan: taiwanese; thailand: thai;
tunisia: tunisian; turkey: turkish; ukraine: ukrainian;
united arab emirates, uae: emirati; venezuela: venezuelan; vietnam: vietnamese; wales: welsh;
united kingdom, uk, britain, great britain, england: british;
united states, usa, us, united states of america, america, united state: american;
europe: european; asia: asian; africa: african
"""
_STATES = """
al alabama, ak alaska, az arizona, ar arkansas, ca california, co colorado, ct connecticut,
de delaware, fl florida, ga georgia, hi hawaii, id idaho, il illinois, in indiana, ia iowa,
ks kansas, ky kentucky, la louisiana, me maine, md maryland, ma massachusetts, mi michigan,
mn minnesota, ms mississippi, mo missouri, mt montana, ne nebraska, nv nevada, nh new hampshire,
nj new jersey, nm new mexico, ny new york, nc north carolina, nd north dakota, oh ohio,
ok oklahoma, or oregon, pa pennsylvania, ri rhode island, sc south carolina, sd south dakota,
tn tennessee, tx texas, ut utah, vt vermont, va virginia, wa washington, wv west virginia,
wi wisconsin, wy wyoming
"""
"""Their postal codes (USPS Publication 28, appendix B)."""


def _known_as() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for country in " ".join(_COUNTRIES.split()).split("; "):
        names, people = (part.split(", ") for part in country.split(": "))
        for name in names:
            found[name] = (*found.get(name, ()), _less(names, name), tuple(people))
        for name in people:
            found[name] = ((*names, *_less(people, name)),)
    for state in " ".join(_STATES.split()).split(", "):
        code, name = state.split(" ", 1)
        found[code] = ((name,),)
        found[name] = (*found.get(name, ()), (code,))
    return found


def _less(names: list[str], one: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != one)


KNOWN_AS = _known_as()
"""What else a place is called; of names in several tuples, the first that a column holds."""
