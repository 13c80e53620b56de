"""The words by which phrases.py tells the kinds of a prompt's phrases: plain English lists."""

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KINDS = ("place", "light", "style", "accessory", "object", "attribute", "camera", "motion")

# What a phrase begins with.
STYLE_STARTS = ("in the style of", "made of", "made out of", "drawn", "painted", "as an", "as a")
ACCESSORY_STARTS = ("wearing", "dressed in", "dressed as", "holding", "carrying", "without")
OBJECT_STARTS = ("next to", "in front of", "beside", "behind")
TIME_STARTS = ("while", "during")
PLACE_STARTS = (
    "on top of",
    "in",
    "on",
    "at",
    "by",
    "near",
    "between",
    "under",
    "inside",
    "outside",
    "among",
    "against",
    "above",
    "across",
    "along",
    "around",
    "through",
    "below",
)
STARTS = {"place": "in", "accessory": "with", "object": "next to"}  # where a named kind has none
MERGED = (  # begin no phrase of their own
    r"(?:in|on|under|around|over) (?:its|his|her|their)",
    r"(?:in|around) (?:a circle|circles)",
    r"(?:in|on) the (?:background|foreground|left|right|middle|center|centre)",
)

# What a phrase ends with.
STYLES = _words(
    "sketch drawing painting watercolor watercolour cartoon anime comic photo photograph "
    "picture illustration render rendering engraving etching mosaic style art artwork "
    "poster silhouette claymation origami pencil charcoal ink crayon clay lego sepia"
) | {
    "black and white",
    "neon lights",
    "neon sign",
}
LIGHTS = _words(
    "day daytime daylight night midnight noon dusk dawn twilight sunset sunrise morning "
    "evening afternoon rain drizzle storm thunderstorm snowstorm blizzard snowfall "
    "snowflakes fog mist moon moonlight light sun sunlight sunshine starlight candlelight "
    "weather wind spring summer autumn winter"
) | {
    "falling snow",
    "golden hour",
    "starry sky",
    "cloudy sky",
    "stars",
}

PLACES = ("on the moon", "on the sun")  # though they end as light does

# What a phrase holds.
WEARABLE = _words(
    "hat hats cap crown helmet glasses sunglasses goggles tie scarf shirt t-shirt sweater "
    "jumper jacket coat suit dress skirt pants trousers jeans shorts shoes boots socks "
    "gloves belt cape mask necklace earrings ring bracelet watch backpack uniform costume "
    "hoodie vest apron wig beard moustache mustache"
)
BODY = _words("hand hands arm arms leg legs foot feet head knees fingers eyes mouth")
CAMERA = _words("camera zoom zooms zooming pan pans panning close-up closeup dolly timelapse drone")

# Words for how the entity itself is; a new one drives out what there is of its group.
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "colour": _words(
        "red orange yellow green blue purple violet pink brown black white gray grey golden "
        "gold silver turquoise cyan magenta beige"
    ),
    "age": _words("old older young younger elderly aged teenage baby ancient"),
    "size": _words("big bigger small smaller tiny huge giant large tall short fat thin"),
    "expression": _words(
        "smiling laughing crying frowning happy sad angry surprised scared sleepy tired "
        "grinning winking shouting screaming serious"
    ),
    "surface": _words("striped spotted dotted plain checkered furry fluffy shiny wet"),
    "degree": _words("very much slightly more and"),
}

# What only tells how fast the entity moves.
SPEEDS = _words(
    "slowly quickly fast faster slower gently wildly very more much twice as in slow motion"
)

# What begins an instruction, which no prompt has; an edit says what is seen.
INSTRUCTIONS = _words(
    "make turn add remove change put give let replace swap delete erase convert transform take "
    "show use keep move have get try create generate paint"
)
POLITE = _words("please now then also just")
