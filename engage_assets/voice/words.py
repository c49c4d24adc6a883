"""Yes and no as people say them, in the languages of the marketplaces."""

import unicodedata
from typing import Final

LONGEST: Final = 200
"""Characters of an answer that are looked at; a longer one is not understood."""
MIXED: Final = {"en-IN": ("en", "hi")}
"""Languages that are spoken together in a locale."""
_FALLBACK: Final = "en"

_YES: Final = {
    "en": """yes yeah yep yup ya aye sure ok okay absolutely definitely totally indeed certainly right correct
        true positive | of course | for sure | i did | yes i did | i do | yes i do | it is | i like it
        | i liked it | i love it | i loved it | loved it | love it | liked it | like it | very much
        | yes very much | you bet | thumbs up | i enjoyed it | yes please | sure did""",
    "de": """ja jo jup jep jawohl klar doch sicher genau natürlich gerne gern unbedingt absolut bestimmt okay ok
        | na klar | aber ja | ja klar | ja sehr | sehr gerne | ja gerne | ja sehr gerne | auf jeden fall
        | auf alle fälle | hat mir gefallen | ja hat mir gefallen | gefällt mir | ja gefällt mir | daumen hoch
        | sehr sogar""",
    "fr": """oui ouais ouaip si carrément absolument exactement certainement volontiers évidemment ok okay dac
        | bien sûr | mais oui | oui oui | oui bien sûr | oui beaucoup | tout à fait | d'accord | j'ai aimé
        | j'aime | oui j'ai aimé | j'ai adoré | j'adore | pouce levé | je veux bien | ça m'a plu""",
    "ja": """はい はーい うん うーん、はい ええ えー、はい そう そうです そうだね はいそうです はい、好きです
        好き 好きです 大好き 大好きです 気に入った 気に入りました よかった 良かった よかったです 良かったです
        もちろん もちろんです イエス いえす オーケー オッケー いいね いいです 楽しかった 楽しかったです hai un""",
    "hi": """हाँ हां जी हा बिल्कुल बिलकुल ज़रूर जरूर सही ठीक अच्छा पसंद haan han ha haa haanji hanji bilkul
        zaroor jarur sahi accha acha theek | जी हाँ | जी हां | हाँ जी | हां जी | ji haan | ji han | haan ji
        | पसंद आया | अच्छा लगा | acha laga | accha laga | pasand aaya | हाँ पसंद आया | theek hai | ठीक है""",
    "pt": """sim claro certamente exatamente isso positivo adorei gostei amei curti uhum aham ok okay
        | com certeza | é claro | claro que sim | sim claro | sim senhor | pois é | sim gostei | gostei sim
        | eu gostei | gostei muito | sim muito | muito | sem dúvida | pode ser | curti sim""",
}
_NO: Final = {
    "en": """no nope nah nay never negative wrong false | no way | not really | not at all | no thanks
        | no thank you | i did not | i didn't | no i did not | no i didn't | i don't | i do not | no i don't
        | i hated it | hated it | hate it | i don't like it | i didn't like it | don't like it | didn't like it
        | not much | not for me | thumbs down | no i didn't like it | i disliked it""",
    "de": """nein nee ne nö nicht niemals kaum keineswegs nope | nein danke | auf keinen fall | gar nicht
        | überhaupt nicht | eher nicht | nicht wirklich | lieber nicht | nicht so | nein gar nicht
        | hat mir nicht gefallen | gefällt mir nicht | nein hat mir nicht gefallen | daumen runter | leider nein
        | leider nicht""",
    "fr": """non nan nope jamais aucunement nullement | non merci | pas du tout | pas vraiment | mais non
        | non pas du tout | bien sûr que non | je n'ai pas aimé | je n'aime pas | j'ai pas aimé | j'aime pas
        | pas trop | pouce baissé | non pas vraiment | ça ne m'a pas plu""",
    "ja": """いいえ いえ いや いーえ ううん いいえ、違います 違う 違います ちがう ちがいます だめ だめです ノー
        嫌い 嫌いです 好きじゃない 好きではない 好きじゃないです 好きではありません 全然 ぜんぜん あまり
        あんまり いまいち よくない 良くない よくなかった 良くなかった 楽しくない 楽しくなかった いらない
        結構です iie""",
    "hi": """नहीं नही ना न बेकार nahin nahi nahee na naa bekar | जी नहीं | जी नही | नहीं जी | ji nahin | ji nahi
        | nahi ji | बिल्कुल नहीं | bilkul nahi | पसंद नहीं आया | pasand nahi aaya | अच्छा नहीं लगा
        | acha nahi laga | accha nahi laga | kabhi nahi | कभी नहीं""",
    "pt": """não nao nunca jamais negativo detestei odiei nope | de jeito nenhum | de forma alguma
        | não obrigado | não obrigada | não gostei | não curti | nem um pouco | nada disso | claro que não
        | acho que não | não muito | eu não gostei | não não gostei""",
}
_YES_SIGNS: Final = "👍 👌 ✅ 🙂 😀 😍 ❤"
_NO_SIGNS: Final = "👎 ❌ 🙁 😞"
_FILLERS: Final = frozenset(
    {"alexa", "oh", "ah", "ahm", "well", "um", "uh", "hm", "hmm", "please", "bitte", "also"}
    | {"euh", "ben", "bah", "alors", "entao", "bom", "えーと", "えっと", "あの", "まあ"}
)
"""Words that say nothing, as `normal` writes them."""
_DROPPED: Final = frozenset({"'", "’", "ʼ", "\ufe0f", "\u200d"})
"""Apostrophes, and what joins emoji."""
_HIRAGANA: Final = {katakana: katakana - 0x60 for katakana in range(0x30A1, 0x30F7)}
_UNSPACED: Final = frozenset({"ja"})


def understand(text: str, locale: str) -> bool | None:
    """Whether an answer means yes or no in the language of a locale (BCP 47), or in English; None: neither.

    Case, punctuation, accents of Latin letters, width, white space and words such as "oh" make no difference.
    """
    if len(text) > LONGEST:
        return None
    for language in (*languages_of(locale), _FALLBACK):
        if language in _PHRASES:
            phrase = _phrase(text, language)
            if phrase in _PHRASES[language]:
                return _PHRASES[language][phrase]
    return None


def languages_of(locale: str) -> tuple[str, ...]:
    """Languages that are spoken in a locale."""
    return MIXED.get(locale, (locale.replace("_", "-").split("-")[0].lower(),))


def normal(text: str) -> str:
    """Text as it is compared: NFKC, case folded, without punctuation and accents, one blank between words.

    Katakana is read as hiragana.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_HIRAGANA)
    return " ".join("".join(_compared(character) for character in folded).split())


def _compared(character: str) -> str:
    """A character as it is compared; nothing for what makes no difference."""
    if character in _DROPPED or unicodedata.category(character) == "Sk":
        return ""
    if unicodedata.category(character)[0] in "PZC":
        return " "
    plain = unicodedata.normalize("NFD", character)[0]
    return plain if plain.isascii() else character


def _phrase(text: str, language: str) -> str:
    """Without fillers and repeated words; without blanks where the language writes none."""
    words = [word for word in normal(text).split() if word not in _FILLERS]
    kept = [word for place, word in enumerate(words) if place == 0 or word != words[place - 1]]
    return ("" if language in _UNSPACED else " ").join(kept)


def _phrases(listed: str, language: str) -> set[str]:
    """Single words up to the first bar, then phrases between bars."""
    words, *phrases = listed.split("|")
    return {_phrase(one, language) for one in [*words.split(), *phrases]} - {""}


def _both(language: str) -> dict[str, bool]:
    yes = _phrases(f"{_YES_SIGNS} {_YES[language]}", language)
    no = _phrases(f"{_NO_SIGNS} {_NO[language]}", language)
    return dict.fromkeys(yes, True) | dict.fromkeys(no, False)


_PHRASES: Final = {language: _both(language) for language in _YES}
LANGUAGES: Final = frozenset(_PHRASES)
"""Languages in which answers are understood."""
