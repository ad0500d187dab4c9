//! Numbers as people read them.

/// `1 204 331`: thousands apart by a narrow blank that every terminal shows, a plain one.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `18.2 MB`, powers of 1000.
#[must_use]
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// `0.9s`, `2m 05s`, `1h 02m`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..=59 => format!("{:.1}s", ms as f64 / 1000.0),
        60..=3599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `n` a second, over `ms`.
#[must_use]
pub fn per_second(n: u64, ms: u64) -> u64 {
    (u128::from(n) * 1000 / u128::from(ms.max(1))) as u64
}

/// `1 table`, `3 tables`.
#[must_use]
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well_at_every_size() {
        assert_eq!([count(0), count(999), count(1_204_331)], ["0", "999", "1 204 331"]);
        assert_eq!(
            [bytes(0), bytes(1_500), bytes(18_200_000), bytes(2_200_000_000)],
            ["0 B", "1.5 kB", "18.2 MB", "2.2 GB"]
        );
        assert_eq!([duration(940), duration(125_000), duration(3_720_000)], ["0.9s", "2m 05s", "1h 02m"]);
        assert_eq!(per_second(500, 250), 2000);
    }
}
