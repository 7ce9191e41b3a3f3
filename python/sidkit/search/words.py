"""English stop words."""

__all__ = ["FUNCTION_WORDS", "INDEX_STOP_WORDS"]

_LUCENE = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these
they this to was will with
"""
_OTHERS = """
about above after all also among any because been before being between both can could did do does during
each from further had has have he her here his how however i its may me might more most must my nor off
once one only other our out over own same she should so some than them those through thus under until up
upon us very we were what when where which while who whom why within without would you your
"""

#: Words that an English index leaves out, those of Lucene.
INDEX_STOP_WORDS = frozenset(_LUCENE.split())
#: Words that no key phrase contains.
FUNCTION_WORDS = INDEX_STOP_WORDS | frozenset(_OTHERS.split())
