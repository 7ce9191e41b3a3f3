import html
import unicodedata
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from sidkit.report.markup import Markup, clean, tag


def test_an_element():
    made = tag("p", "a < b & c", [tag("b", 3), None], class_="x", aria_label='"quoted" <tag>', id=None)
    assert made == ('<p class="x" aria-label="&quot;quoted&quot; &lt;tag&gt;">a &lt; b &amp; c<b>3</b></p>')
    assert isinstance(made, Markup)
    assert tag("br") == "<br>"


def test_blanks_between_texts_and_elements_stay():
    assert tag("p", "a ", tag("b", "c"), " d") == "<p>a <b>c</b> d</p>"


class Texts(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


NASTY = st.text(alphabet=st.sampled_from("<>&\"'/=!-`\\ \n\t\x00\x1b\u202e\u2028a;#x&") | st.characters())


@given(NASTY, NASTY)
def test_any_text_stays_text(text, attribute):
    read = Texts(tag("p", text, title=attribute))
    assert read.tags == ["p"]
    assert [key for key, _ in read.attributes] == ["title"]
    assert read.attributes[0][1] == clean(attribute)
    assert "".join(read.texts).strip() == html.unescape(html.escape(clean(text))).strip()


@given(NASTY)
def test_clean_text_hides_nothing(text):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    for character in cleaned:
        assert character in "\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
