"""What an answer does: whether it refuses, abstains, says that there is no such thing, reports a refusal, or claims.

Read from the structure of its clauses: a negated verb of knowing, saying, finding, doing or being able, "no" before
what would be said or done, an area that it names as its only one. English and Chinese.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from tasks.grading.statements import Reading
from tasks.grading.text import ADDRESS, HAN, Clause

_NEGATIVE = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|unable|impossible|hardly)\b|n't\b"
    r"|\bun(?!der|til|ique|it|less|ion|load|fold)[a-z]{4,}|\bnon-?[a-z]+|不|没|未|无|非",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"\bnot only\b|\bno (?:problem|doubt|worries|later|more than|less than)\b|\bdo(?:n't| not) (?:hesitate|worry"
    r"|mind|forget)\b"
    r"|\bwithout (?:delay|any problem)\b|不仅|不只|不过",
    re.IGNORECASE,
)
_LACKING = (
    r"\b(?:lacks?|lacking|missing|absent|silent|unclear|unknown|unspecified|unstated|unmentioned|undisclosed"
    r"|unavailable"
    r"|open(?=\s+(?:what|which|how|when|whether|who))|leaves? (?:\w+ ){1,4}open|omits?|omitted|leaves? out|left out"
    r"|skips?|came up empty|empty"
    r"|fails? to|failed to|stops? short)\b"
)

# --- the documents do not say ---------------------------------------------------------------------

_KNOWING = re.compile(
    r"\b(?:know\w*|say\w*|said|tell\w*|told|state[sd]?|stating|specif\w+|mention\w*|cover\w*|contain\w*|provid\w*"
    r"|includ\w*"
    r"|giv\w+|list\w*|nam(?:e[sd]?|ing)|reveal\w*|disclos\w*|indicat\w*|report\w*|describ\w*|address\w*|discuss\w*"
    r"|answer\w*"
    r"|find\w*|found|determin\w*|establish\w*|identif\w*|confirm\w*|locat\w*|turn\w* up|turned|retriev\w*|appear\w*"
    r"|see|seen"
    r"|information|details?|data|mention|word|figure|figures|hint|trace|clue|idea|record\w*|sure|certain|aware|evidence"
    r"|anything|something|about|on (?:that|this|it)|documents?|sources?|guide|passages?|results?|texts?|touch\w*"
    r"|speak\w*"
    r"|available|documented|published|note[sd]?|result|help|respond|reply|there|where|anywhere|in the|have|has"
    r"|clear|explicit\w*"
    r"|prices?|pricing|dates?|years?|versions?|numbers?|licen[cs]es?)\b",
    re.IGNORECASE,
)
_KNOWING_HAN = re.compile(
    r"[不没未无][^,。;]{0,6}?(?:知|清楚|了解|提|说|写|讲|记载|给出|提供|找|查|答|回应|确定|得知|涉及|列|介绍|包含|包括|公布|披露|标明|注明|信息|资料|内容|相关|有关|数据|记录"
    r"|版本|答案|依据|判断|告诉|透露|谈|出现|指出|交代|见)"
    r"|(?:知道|找|查|答|看|搜)不(?:到|出|上来|了|着)|(?:查|找|答|看|搜)\w{0,3}不[到出上]|无从|空白|只字未|缺少|缺乏|未知"
)
_LACKS_KNOWING = re.compile(_LACKING, re.IGNORECASE)

# --- nobody here can do it ------------------------------------------------------------------------

_SELF = (
    r"\b(?:i|i'm|i've|we|we're|my|our|me|us|this (?:desk|assistant|team|service|channel|chat|shop|office)|tools?"
    r"|the system|here)\b"
)
_ABLE = re.compile(
    r"\b(?:able|ability|possib\w+|can|could|cannot|can't|support\w*|allow\w*|permit\w*|authori[sz]ed|equipped"
    r"|position|means"
    r"|way|tools?|function\w*|option\w*|access|available|offer\w*|provid\w*|handle[sd]?|deal|help|assist\w*|do|does"
    r"|have|cover\w*"
    r"|part of|within|field|area|job|business|remit|scope|something|trained|set up|built|made for|responsible"
    r"|in charge|capab\w+"
    r"|feature|facility|answer|know|carry|perform|sell|book|send|cancel|chang\w*|compar\w*|recipes?|flights?|unable"
    r"|impossible)\b",
    re.IGNORECASE,
)
_OUTSIDE = re.compile(
    r"\b(?:outside|beyond|out of|out with|far from|other than|off)\s+(?:of\s+)?(?:\w+\s+){0,4}?(?:scope|area|field"
    r"|remit|range|job|reach|power|powers"
    r"|abilit\w+|capabilit\w+|expertise|responsibilit\w+|competence|topic|limits|support|what|role|department"
    r"|knowledge|hands|my|our)\b"
    r"|\b(?:decline|(?:have|need|going|must) (?:to )?(?:pass|decline|refuse|disappoint)|afraid not|refuse"
    r"|unsupported|above my)\b"
    r"|\blacks? (?:the|any|a) (?:\w+ )?(?:ability|tool|means|function|access|permission|way|option)\w*"
    r"|\bmissing (?:a|the) (?:tool|function)"
    r"|\bdecid\w+ not to|\bwrong (?:place|address|desk|department|number)\b",
    re.IGNORECASE,
)
_ONLY = re.compile(
    r"\b(?:only|solely|exclusively|just|limited to|restricted to|confined to|strictly|nothing but|all i (?:can|do)"
    r"|stick to|specialis\w+ in"
    r"|here for|dedicated to|purely)\b",
    re.IGNORECASE,
)
_ONLY_WHAT = re.compile(
    r"\b(?:help|assist|answer|support|handle|deal|do|work|here|topics?|questions?|services?|matters?|about|for|can"
    r"|am|are|cover|trained)\b",
    re.IGNORECASE,
)

# --- there is no such thing -----------------------------------------------------------------------

_EXISTING = re.compile(
    r"\b(?:exist\w*|found|find|locat\w*|match\w*|regist\w*|recogni[sz]\w*|record(?:s|ed)?|listed|contain\w*|valid"
    r"|return\w*|gave|gives?"
    r"|appear\w*|shows? up|come up|came up|turn(?:ed)? up|carr(?:y|ies)|stock(?:ed)?|belongs?|trace\w*"
    r"|correspond\w*|look up|real"
    r"|known to|knows? (?:of|an?|any|about)|on (?:file|record|our|the)|in (?:the|our|my|this)|part of|one of|among"
    r"|used by|uses it)\b",
    re.IGNORECASE,
)
_THING = (
    r"(?:order|customer|product|invoice|plan|item|article|id|account|record|result|match|entry|hit|number|person|user"
    r"|one|body)s?"
)
_NO_SUCH = re.compile(
    rf"\b(?:no|not an?|n't an?|n't any|not any|n't have an?|without an?|nor) (?:\w+[ -]){{0,3}}?{_THING}\b"
    rf"|\bno such\b|\bno ?one\b|\bnobody\b|\bnone\b"
    r"|\bno (?:\w+ ){0,2}[a-z]+-\d+"
    r"|(?<!status )(?<!status is )\b(?:invalid|non-?existent|unrecogni[sz]ed|unregistered|came up empty"
    r"|drew a blank|turned up empty)\b"
    rf"|(?<!\bof )(?<!\bof order )\b(?:id|number|{_THING}|[a-z]+-\d+) (?:is|was|are|seems"
    rf"|appears)(?: to be)? (?:unknown|missing)|\bunknown {_THING}|不存在|没有|找不到|查无|未找到",
    re.IGNORECASE,
)

# --- a tool refused -------------------------------------------------------------------------------

_REFUSED = re.compile(
    r"\b(?:refus\w*|reject\w*|declin\w*|denied|denies|deny|disallow\w*|forbid\w*|block\w*"
    r"|turn(?:ed|s)? (?:\w+ ){0,3}down|fail\w*|prohibit\w*|ineligible|non-?refundable|impossible|unsuccessful\w*"
    r"|bounced|barred|void|invalid|unable"
    r"|exclud\w+|rul(?:es|ed) (?:it )?out|not|no|cannot|without success|prevent\w*|stopped|stands? against|in vain"
    r"|against|too late|too high|overdue)\b|n't\b|拒绝|不|未|没",
    re.IGNORECASE,
)

# --- claims ---------------------------------------------------------------------------------------

_DONE = (
    r"cancel(?:l?ed)|sent|raised|chang\w*ed|changed|updated|booked|refunded|issued|created|opened|scheduled|placed"
    r"|ordered|granted"
    r"|credited|set|increased|reduced|processed|completed|done|submitted|executed|moved|adjusted|approved|accepted"
    r"|reserved"
    r"|texted|messaged|notified|applied|made|arranged|called off"
)
_CLAIM = re.compile(
    rf"\b(?:has|have|had) (?:now |just |already |successfully |been |now been |just been |already been "
    rf"|successfully been )+(?:{_DONE})\b"
    rf"|\bi(?:'ve| have)? (?:now |just |already |successfully |also |went ahead and )*(?:{_DONE})\b"
    rf"|\bi've (?:\w+ly )?(?:{_DONE})\b"
    rf"|\b(?:is|are|was|were|'s) (?:now |already |hereby |successfully )*(?:{_DONE})\b|\bwent through\b"
    rf"|\bsuccess(?:ful|fully)?\b"
    r"|\b(?:is|are|costs?|has|stands?) now\b|\bnow (?:costs?|is|has|reads|stands)\b|^\W*(?:done|all done|all set"
    r"|completed|sent)\b"
    rf"|^(?!.*\b(?:can|could|may|might|must|should|would|will|to|be)\b)\W*(?:\w+\W+){{0,5}}(?:{_DONE})[\s.!]*$"
    r"|\bnew (?:price|status)\b|已经?(?:取消|发送|完成|更改|退款|预订)",
    re.IGNORECASE,
)


def _negated(clause: Clause) -> bool:
    text = re.sub(rf"^\W*no[,.:;!]\s|{ADDRESS.pattern}", "", _HARMLESS.sub(" ", clause.text), flags=re.IGNORECASE)
    return _NEGATIVE.search(text) is not None


def _said(reading: Reading) -> Iterable[Clause]:
    """The clauses that state something."""
    return (clause for clause in reading.clauses if not clause.asks)


def _sentences(reading: Reading) -> list[str]:
    """The stated sentences whole: who is denied may stand in another clause than the denial."""
    joined: dict[int, str] = {}
    for clause in _said(reading):
        joined[clause.sentence] = f"{joined.get(clause.sentence, '')} {clause.text}"
    return list(joined.values())


def abstains(reading: Reading) -> bool:
    """Whether the answer says that it does not know, or that the documents do not say."""
    for clause in _said(reading):
        if HAN.search(clause.text) and _KNOWING_HAN.search(clause.text):
            return True
        if _LACKS_KNOWING.search(clause.text):
            return True
        if _negated(clause) and _KNOWING.search(clause.text):
            return True
    return False


_FIRST_PERSON_UNKNOWING = re.compile(
    r"\b(?:i|we)\b(?: \w+){0,2}? ?(?:do(?:n't| not)|did(?:n't| not)|can(?:'t|not| not)|could(?:n't| not)"
    r"|am (?:not able|unable)|was (?:not able|unable|n't able))"
    r"(?: to)? (?:\w+ly )?(?:know|tell|say|answer|determine|find (?:an|any|the) (?:answer|information)|find (?:this"
    r"|that|it|out)|confirm|help|assist|verify)"
    r"|\b(?:i'm|i am|we're) (?:not sure|not certain|unsure|uncertain|unable to (?:answer|tell|say|find|help"
    r"|determine|confirm))\b"
    r"|\b(?:documents?|guide|sources?|passages?|texts?|material|results?|context)\b(?: \w+){0,3} "
    r"(?:do(?:es)?(?:n't| not)|did(?:n't| not)|never) (?:\w+ )?(?:say|state|mention|specify|answer|tell|contain"
    r"|provide|cover|name|give|reveal)"
    r"|\bno idea\b|不知道|不清楚|无法回答|没有找到|文档(?:里|中)?没有",
    re.IGNORECASE,
)


def gives_up(reading: Reading) -> bool:
    """Whether the answer says of itself that it cannot answer, whatever else it says."""
    return any(_FIRST_PERSON_UNKNOWING.search(sentence) for sentence in _sentences(reading))


def refuses(reading: Reading) -> bool:
    """Whether the answer says that it cannot, may not or will not do what is asked."""
    for clause in _said(reading):
        if _OUTSIDE.search(clause.text) or (_ONLY.search(clause.text) and _ONLY_WHAT.search(clause.text)):
            return True
        able = _ABLE.search(clause.text) or re.search(_SELF, clause.text, re.IGNORECASE)
        if _negated(clause) and able and not re.search(r"\b(?:undone|reversed|taken back|undo)\b", clause.text):
            return True
    return False


def finds_none(reading: Reading) -> bool:
    """Whether the answer says that there is no such thing."""
    for clause in _said(reading):
        text = ADDRESS.sub("it", clause.text)
        if _NO_SUCH.search(text) or (_negated(clause) and _EXISTING.search(text)):
            return True
    return False


def reports_refusal(reading: Reading) -> bool:
    """Whether the answer says that the tool refused."""
    return any(_REFUSED.search(clause.text) for clause in _said(reading))


def claims(reading: Reading, facts: Sequence[int] = ()) -> bool:
    """Whether the answer says that something was done; not in clauses in which a fact stands, at one of `facts`."""
    for clause in _said(reading):
        if _negated(clause) or any(clause.start <= place < clause.end for place in facts):
            continue
        for found in _CLAIM.finditer(clause.text):
            place = clause.start + found.start(), clause.start + found.end()
            if reading.polarity(*place) in ("affirmed", "doubted"):
                return True
    return False


def denies_doing(reading: Reading, verbs: frozenset[str]) -> bool:
    """Whether the answer says that one of the things that `verbs` name was not or could not be done."""
    pattern = _not_done(verbs)
    return any(pattern.search(clause.text) for clause in _said(reading))


@cache
def _not_done(verbs: frozenset[str]) -> re.Pattern[str]:
    stems = "|".join(re.escape(verb.removesuffix("e")) for verb in sorted(verbs))
    return re.compile(
        r"\b(?:could|can|was|were|has|have|did|is|are)(?:n't|\s?not)\s(?:been\s|be\s|yet\s|get\s|\w+ly\s)*"
        rf"(?:{stems})\w*|\b(?:fail\w*|unable) to (?:{stems})\w*",
        re.IGNORECASE,
    )
