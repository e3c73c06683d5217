//! Names for made-up items.

const COLOURS: [&str; 20] = [
    "Amber", "Azure", "Coral", "Crimson", "Emerald", "Golden", "Indigo", "Ivory", "Jade",
    "Lavender", "Lemon", "Mint", "Ochre", "Olive", "Pearl", "Plum", "Ruby", "Sand", "Silver",
    "Teal",
];
const MATERIALS: [&str; 20] = [
    "Bamboo",
    "Birch",
    "Brass",
    "Canvas",
    "Ceramic",
    "Copper",
    "Cork",
    "Cotton",
    "Felt",
    "Glass",
    "Leather",
    "Linen",
    "Maple",
    "Marble",
    "Oak",
    "Porcelain",
    "Silk",
    "Steel",
    "Walnut",
    "Wool",
];
const THINGS: [&str; 25] = [
    "Backpack",
    "Blanket",
    "Bookend",
    "Bowl",
    "Bracelet",
    "Candle",
    "Clock",
    "Coaster",
    "Cushion",
    "Desk Lamp",
    "Flask",
    "Frame",
    "Kettle",
    "Keyring",
    "Mug",
    "Notebook",
    "Planter",
    "Poster",
    "Scarf",
    "Teapot",
    "Tote",
    "Tray",
    "Umbrella",
    "Vase",
    "Wallet",
];

/// A name that differs from those of its neighbours; unique in the first 10,000.
pub(super) fn made_up(idx: u32) -> String {
    const COMBINATIONS: u32 = (COLOURS.len() * MATERIALS.len() * THINGS.len()) as u32;
    // A stride without a common factor with the number of combinations visits each once.
    const STRIDE: u32 = 7919;
    let edition = idx / COMBINATIONS + 1;
    let mut rest = ((idx % COMBINATIONS) * STRIDE % COMBINATIONS) as usize;
    let mut pick = |words: &[&'static str]| {
        let word = words[rest % words.len()];
        rest /= words.len();
        word
    };
    let (thing, colour, material) = (pick(&THINGS), pick(&COLOURS), pick(&MATERIALS));
    match edition {
        1 => format!("{colour} {material} {thing}"),
        _ => format!("{colour} {material} {thing}, edition {edition}"),
    }
}
