//! Axes of plots: round steps, and numbers and texts that stand beside them.

/// A round step, and how many of them hold the highest value: 1 to 5.
#[must_use]
pub fn scale(highest: f64) -> (f64, u32) {
    if highest <= 0.0 || !highest.is_finite() {
        return (1.0, 1);
    }
    let magnitude = 10_f64.powf((highest / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| highest <= step * 5.0)
        .unwrap_or(10.0 * magnitude);
    (step, (highest / step).ceil().max(1.0) as u32)
}

/// A value as the label of a tick.
#[must_use]
pub fn short(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => format!("{}k", (v / 100.0).round() / 10.0),
        v => format!("{}", (v * 1000.0).round() / 1000.0),
    }
}

/// A number with a comma before each group of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text that cannot become markup.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_above_the_highest_value() {
        for highest in [0.003, 0.7, 1.0, 9.9, 51.0, 48_213.0] {
            let (step, ticks) = scale(highest);
            let top = step * f64::from(ticks);
            assert!(
                top >= highest && top <= highest * 2.0,
                "{highest}: {step} × {ticks}"
            );
            assert!((1..=5).contains(&ticks), "{highest}: {ticks}");
        }
    }

    #[test]
    fn what_servers_say_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(10_000), "10,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
