//! The binary format of `numeric`: digits in groups of four.

/// Encodes a decimal number, such as `-12.50` or `1e-7`; none if the text is not a number.
pub(super) fn encode(text: &str, into: &mut Vec<u8>) -> Option<()> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if all.is_empty() || !all.iter().all(u8::is_ascii_digit) || exponent.abs() > 1000 {
        return None;
    }
    // The number of digits before the decimal point.
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let scale = (i32::try_from(all.len()).ok()? - point).max(0);
    let before = point.div_euclid(4) + i32::from(point.rem_euclid(4) > 0);
    let lead = before * 4 - point;
    let mut padded = vec![0_u8; usize::try_from(lead).ok()?];
    padded.extend(all.iter().map(|digit| digit - b'0'));
    while padded.len() % 4 != 0 {
        padded.push(0);
    }
    let mut groups: Vec<i16> = padded
        .chunks_exact(4)
        .map(|four| {
            four.iter()
                .fold(0, |group, digit| group * 10 + i16::from(*digit))
        })
        .collect();
    let mut weight = before - 1;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= i32::try_from(zeros).ok()?;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign: u16 = if negative && !groups.is_empty() {
        0x4000
    } else {
        0
    };
    into.extend(i16::try_from(groups.len()).ok()?.to_be_bytes());
    into.extend(i16::try_from(weight).ok()?.to_be_bytes());
    into.extend(sign.to_be_bytes());
    into.extend(i16::try_from(scale).ok()?.to_be_bytes());
    for group in groups {
        into.extend(group.to_be_bytes());
    }
    Some(())
}

/// Returns the bytes of a number without its display scale, equal for equal numbers.
pub(super) fn same(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    // The display scale is not part of the value.
    if let Some(scale) = bytes.get_mut(6..8) {
        scale.fill(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> Option<(i16, u16, i16, Vec<i16>)> {
        let mut bytes = Vec::new();
        encode(text, &mut bytes)?;
        let word = |at: usize| i16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let digits = (8..bytes.len()).step_by(2).map(word).collect();
        Some((word(2), word(4).cast_unsigned(), word(6), digits))
    }

    #[test]
    fn numbers_are_grouped_as_postgresql_groups_them() {
        assert_eq!(groups("12345.678"), Some((1, 0, 3, vec![1, 2345, 6780])));
        assert_eq!(groups("-0.00012"), Some((-1, 0x4000, 5, vec![1, 2000])));
        assert_eq!(groups("0"), Some((0, 0, 0, vec![])));
        assert_eq!(groups("1e20"), Some((5, 0, 0, vec![1])));
        assert_eq!(groups("1.5e-7"), Some((-2, 0, 8, vec![15])));
        assert_eq!(groups("12 34"), None);
        assert_eq!(groups(""), None);
    }
}
