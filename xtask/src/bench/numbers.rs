//! Figures as people read them: three digits and a unit.

/// A time: `9.87 ns`, `12.3 µs`.
pub(super) fn nanoseconds(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        t if t < 1e3 => (t, "ns"),
        t if t < 1e6 => (t / 1e3, "µs"),
        t if t < 1e9 => (t / 1e6, "ms"),
        t => (t / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number with a decimal prefix: `4.20 M`, `512 kB`.
pub(super) fn scaled(value: f64, unit: &str) -> String {
    let (value, prefix) = match value {
        v if v < 1e3 => (v, ""),
        v if v < 1e6 => (v / 1e3, "k"),
        v if v < 1e9 => (v / 1e6, "M"),
        v => (v / 1e9, "G"),
    };
    format!("{} {prefix}{unit}", three_digits(value)).trim_end().to_owned()
}

/// The size of a message: `16 B`, `64 KiB`, and `100000 B` where no binary prefix fits.
pub(super) fn octets(size: usize) -> String {
    match size {
        s if s >= 1 << 20 && s.is_multiple_of(1 << 20) => format!("{} MiB", s >> 20),
        s if s >= 1 << 10 && s.is_multiple_of(1 << 10) => format!("{} KiB", s >> 10),
        s => format!("{s} B"),
    }
}

/// Three significant digits, and all those before the point.
pub(super) fn three_digits(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_carry_their_unit() {
        assert_eq!(nanoseconds(9.876), "9.88 ns");
        assert_eq!(nanoseconds(12_345.0), "12.3 µs");
        assert_eq!(nanoseconds(2.5e9), "2.50 s");
        assert_eq!(scaled(512_000.0, "B"), "512 kB");
        assert_eq!(scaled(3.0, ""), "3.00");
    }

    #[test]
    fn sizes_have_binary_prefixes_where_they_fit() {
        assert_eq!(
            [16, 512, 2048, 65536, 1 << 20, 1500].map(octets),
            ["16 B", "512 B", "2 KiB", "64 KiB", "1 MiB", "1500 B"]
        );
    }
}
