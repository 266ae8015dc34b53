"""Names that are written short: what stands for what in any schema, and how the rest is made."""

import re

_USUAL = """
    acct account, addr address, appt appointment, cap capacity, cust customer, dept department,
    dest destination, dist distance, dlv delivery, dt date, dur duration, emp employee, flg flag,
    frt freight, hgt height, lang language, len length, loc location, lvl level, mgr manager,
    nm name, ord order, orig origin, pmt payment, prc price, prod product, rgn region, rte route,
    rtng rating, sal salary, shpmt shipment, spd speed, stat status, trx transaction,
    txn transaction, typ type, veh vehicle, wgt weight, whse warehouse, wt weight, yr year
"""
USUAL: dict[str, str] = {(words := pair.split())[0]: words[1] for pair in _USUAL.split(",")}
_OF_THEIR_OWN = """
    age, amt amount, avg average, cd code, dob birthday, dvd, end, eur euro, fk, gps, hp, hr hour,
    hrs hour, id identifier, ip, kg kilogram, lng longitude, mpg, mth month, nr number,
    pct percent percentage, pk, qty quantity, sku, tv television, url, usd, vat
"""
OF_THEIR_OWN = {
    (words := each.split())[0]: frozenset(words[1:]) for each in _OF_THEIR_OWN.split(",")
}
"""Short names that everybody knows, and the words they stand for: an `id` is no island."""
LENGTH_MAX = 5
OF_TWO_LETTERS_MAX = 6
"""The length of a word to which two letters may point: more would fit too many."""


def abbreviates(short: str, word: str) -> bool:
    """Whether a name is a word without its vowels, and perhaps some of its consonants: `vchr` is a
    voucher, `rte` a route. It begins and ends as the word does.
    """
    if short in OF_THEIR_OWN:
        return word in OF_THEIR_OWN[short]
    if not 2 <= len(short) <= LENGTH_MAX or len(word) <= len(short) or short[0] != word[0]:
        return False
    bare = skeleton(word)
    body = short[:-1] if len(short) > 2 and short[-1] == word[-1] == "e" else short
    if len(body) < 2 or body != skeleton(body) or body[-1] != bare[-1]:
        return False
    if len(body) == 2 and len(word) > OF_TWO_LETTERS_MAX:
        return False
    letters = iter(bare)
    return all(letter in letters for letter in body)


def skeleton(word: str) -> str:
    """A word without the vowels behind its first letter: `department` is dprtmnt."""
    return word[0] + re.sub("[aeiou]", "", word[1:])
