"""What the assistant says beside the question, in the languages of the marketplaces."""

from typing import Final, Literal

Sentence = Literal["thanks", "again", "nothing", "expired", "link", "goodbye", "welcome"]

_SENTENCES: Final[dict[str, dict[Sentence, str]]] = {
    "en": {
        "thanks": "Thank you, I have noted that.",
        "again": "Sorry, was that a yes or a no?",
        "nothing": "I have no question for you at the moment.",
        "expired": "This question has expired. Thank you anyway.",
        "link": "To answer questions by voice, please link your account in the Alexa app.",
        "goodbye": "Goodbye.",
        "welcome": "After a track I may ask you one question. Please answer with yes or no.",
    },
    "de": {
        "thanks": "Danke, das habe ich notiert.",
        "again": "Wie bitte, war das ein Ja oder ein Nein?",
        "nothing": "Ich habe im Moment keine Frage an dich.",
        "expired": "Diese Frage ist abgelaufen. Trotzdem danke.",
        "link": "Um Fragen per Sprache zu beantworten, verknüpfe bitte dein Konto in der Alexa-App.",
        "goodbye": "Auf Wiederhören.",
        "welcome": "Nach einem Titel stelle ich dir vielleicht eine Frage. Antworte bitte mit Ja oder Nein.",
    },
    "fr": {
        "thanks": "Merci, c’est noté.",
        "again": "Pardon, était-ce un oui ou un non ?",
        "nothing": "Je n’ai pas de question pour vous en ce moment.",
        "expired": "Cette question a expiré. Merci quand même.",
        "link": "Pour répondre par la voix, veuillez associer votre compte dans l’application Alexa.",
        "goodbye": "Au revoir.",
        "welcome": "Après un titre, je peux vous poser une question. Répondez par oui ou par non.",
    },
    "ja": {
        "thanks": "ありがとうございます。記録しました。",
        "again": "すみません、「はい」ですか、「いいえ」ですか。",
        "nothing": "今のところ質問はありません。",
        "expired": "この質問は期限が切れました。ありがとうございました。",
        "link": "音声で回答するには、Alexaアプリでアカウントをリンクしてください。",
        "goodbye": "さようなら。",
        "welcome": "曲のあとに一つ質問をすることがあります。「はい」か「いいえ」でお答えください。",
    },
    "hi": {
        "thanks": "धन्यवाद, मैंने लिख लिया है।",
        "again": "माफ़ कीजिए, आपने हाँ कहा या नहीं?",
        "nothing": "अभी आपके लिए कोई सवाल नहीं है।",
        "expired": "इस सवाल का समय बीत चुका है। फिर भी धन्यवाद।",
        "link": "आवाज़ से जवाब देने के लिए कृपया Alexa ऐप में अपना खाता जोड़ें।",
        "goodbye": "नमस्ते।",
        "welcome": "गाने के बाद मैं एक सवाल पूछ सकती हूँ। कृपया हाँ या नहीं में जवाब दें।",
    },
    "pt": {
        "thanks": "Obrigada, anotei.",
        "again": "Desculpe, foi um sim ou um não?",
        "nothing": "Não tenho nenhuma pergunta para você no momento.",
        "expired": "Esta pergunta expirou. Obrigada mesmo assim.",
        "link": "Para responder por voz, vincule sua conta no aplicativo Alexa.",
        "goodbye": "Até logo.",
        "welcome": "Depois de uma faixa posso fazer uma pergunta. Responda com sim ou não.",
    },
}
SPOKEN: Final = frozenset(_SENTENCES)
"""Languages in which the assistant speaks."""


def say(sentence: Sentence, locale: str) -> str:
    """A sentence in the language of a locale (BCP 47), in English where there is none."""
    return _SENTENCES.get(locale.partition("-")[0].lower(), _SENTENCES["en"])[sentence]
