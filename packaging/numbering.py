"""Writes the countries' dialling prefixes and their premium-rate ranges from the metadata of `phonenumbers`.

Run as `python packaging/numbering.py > kemi/sipsieve/config/numbering.toml` with `phonenumbers` and `regex` installed. The result
is kept in the repository, so that nothing of it is needed beside Kamailio.
"""

from __future__ import annotations

import datetime
import sys

import phonenumbers
import regex
from phonenumbers import PhoneMetadata

#: Digits after a country's code up to which premium-rate ranges are told.
_DEPTH = 5

#: Kinds of numbers that a premium-rate range must not be shared with.
_OTHERS = ("fixed_line", "mobile", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan")

#: No country's: satellites and international networks (ITU-T E.164.1, E.164 Annex D), written by hand below.
_GLOBAL = frozenset({870, 878, 881, 882, 883, 888, 979, 800, 808})


def could_be(pattern: str | None, start: str) -> bool:
    """Whether a number that the pattern describes can begin like this."""
    return bool(pattern) and regex.compile(pattern).fullmatch(start, partial=True) is not None


def patterns(metadata: PhoneMetadata, kinds: tuple[str, ...]) -> list[str | None]:
    """How numbers of these kinds are written, where there are any."""
    return [getattr(getattr(metadata, kind), "national_number_pattern", None) for kind in kinds]


def unmixed(wanted: list[str | None], others: list[str | None]) -> list[str]:
    """The shortest prefixes behind a country's code below which there is what is wanted, and nothing of the others."""
    found, edge = [], [""]
    for _ in range(_DEPTH):
        longer = []
        for start in (known + digit for known in edge for digit in "0123456789"):
            if not any(could_be(pattern, start) for pattern in wanted):
                continue
            if any(could_be(other, start) for other in others):
                longer.append(start)
            else:
                found.append(start)
        edge = longer
    return sorted(found)


def leading(metadata: PhoneMetadata) -> list[str]:
    """What follows the code that several countries share, as `658|876`; "" where the country is the main one."""
    pattern = metadata.leading_digits
    if not pattern:
        return [""]
    found, edge = [], [""]
    matcher = regex.compile(pattern)
    for _ in range(_DEPTH):
        longer = []
        for start in (known + digit for known in edge for digit in "0123456789"):
            if matcher.match(start):
                found.append(start)
            elif matcher.match(start, partial=True):
                longer.append(start)
        edge = longer
    return sorted(found)


def quoted(texts: list[str]) -> str:
    """A list of texts, in lines of some length."""
    lines, line = [], ""
    for text in texts:
        if len(line) > 100:
            lines.append(line)
            line = ""
        line += f'"{text}", '
    return "[\n    " + "\n    ".join([*lines, line]).rstrip(", ").replace(", \n", ",\n") + ",\n]" if texts else "[]"


def main() -> None:
    """Writes the file to standard output."""
    countries: dict[str, list[str]] = {}
    rated: list[str] = []
    for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        if code in _GLOBAL or regions == ("001",):
            continue
        known = {region: PhoneMetadata.metadata_for_region(region, None) for region in regions}
        for region, metadata in known.items():
            starts = leading(metadata)
            if region != regions[0] and starts == [""]:
                # No prefix of its own, but areas that the main country does not have.
                starts = unmixed(patterns(metadata, _OTHERS[:2]), patterns(known[regions[0]], _OTHERS))
            if starts:
                countries[region] = [f"{code}{start}" for start in starts]
        everybody = [pattern for metadata in known.values() for pattern in patterns(metadata, _OTHERS)]
        dear = [pattern for metadata in known.values() for pattern in patterns(metadata, ("premium_rate",))]
        rated += [f"{code}{start}" for start in unmixed(dear, everybody)]
    print(f"# Dialling prefixes by country, and what is dear. {datetime.date.today().isoformat()}.")
    print("# The countries' part is made by packaging/numbering.py from the metadata of phonenumbers")
    print(
        f"# {phonenumbers.__version__} (Apache-2.0, from Google's libphonenumber); the classes say where they are from."
    )
    print("\n[countries]")
    for region, starts in sorted(countries.items()):
        print(f"{region} = {quoted(starts) if len(starts) > 8 else str(starts).replace(chr(39), chr(34))}")
    print('\n[classes.premium]\nlabel = "premium-rate number"')
    print(
        f'source = "libphonenumber, by phonenumbers {phonenumbers.__version__}: ranges in which no other kind of number stands"'
    )
    print(f"date = {datetime.date.today().isoformat()}\nprefixes = {quoted(sorted(set(rated) | {'979'}))}")
    sys.stdout.write(
        """
[classes.satellite]
label = "satellite telephone"
source = "ITU-T E.164, list of assigned country codes: 870 Inmarsat, 881 Global Mobile Satellite System"
date = 2016-12-15
prefixes = ["870", "881"]

[classes.networks]
label = "international network or shared code"
source = "ITU-T E.164, list of assigned country codes: 878 personal numbers, 882 and 883 international networks, 888 relief"
date = 2016-12-15
prefixes = ["878", "882", "883", "888"]

[classes.high-fraud]
label = "range often called by fraudsters"
source = "countries that a large carrier bars by default against traffic pumping (TransNexus, Carriers Block International Calls)"
date = 2014-01-01
countries = ["GM", "GN", "SL", "CF", "ST", "SC", "SO", "MV", "AZ", "MC"]
"""
    )


if __name__ == "__main__":
    main()
