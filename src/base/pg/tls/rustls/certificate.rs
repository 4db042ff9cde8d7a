//! Parses the parts of an X.509 certificate that decide whether it is trusted.
//!
//! Includes version 1 certificates and keys of unsupported algorithms: `chain` decides what to accept.

use chrono::NaiveDate;

/// The DER tags used in certificates.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const BIT_STRING: u8 = 0x03;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OID: u8 = 0x06;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
    pub(super) const DNS_NAME: u8 = 0x82;
    pub(super) const IP_ADDRESS: u8 = 0x87;
}

/// Object identifiers in DER.
mod oid {
    pub(super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    pub(super) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
    pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    /// Extensions that may be critical and have no effect here, as in OpenSSL: key identifiers, policies, and locations of
    /// revocation lists.
    pub(super) const WITHOUT_EFFECT: &[&[u8]] = &[
        &[0x55, 0x1d, 0x0e],
        &[0x55, 0x1d, 0x1f],
        &[0x55, 0x1d, 0x20],
        &[0x55, 0x1d, 0x21],
        &[0x55, 0x1d, 0x23],
        &[0x55, 0x1d, 0x24],
        &[0x55, 0x1d, 0x36],
    ];
}

/// Bits of the key usage extension, the first being the highest of the first byte.
pub(super) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(super) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(super) const KEY_AGREEMENT: u8 = 0x08;
pub(super) const KEY_CERT_SIGN: u8 = 0x04;

pub(super) struct Certificate<'a> {
    pub(super) der: &'a [u8],
    /// The part that the issuer signed.
    pub(super) signed: &'a [u8],
    /// The signature algorithm, without the SEQUENCE around it.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) version: u8,
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The first and last second of its validity, since 1970.
    pub(super) validity: (i64, i64),
    pub(super) key: Key<'a>,
    extensions: Vec<Extension<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    /// The whole SubjectPublicKeyInfo.
    pub(super) der: &'a [u8],
    /// The algorithm, without the SEQUENCE around it.
    pub(super) algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

struct Extension<'a> {
    id: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

/// A reader of consecutive DER elements.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads an element: its tag, its content and all of it.
    fn take(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first - 0x80))?;
                rest = after;
                bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some((tag, content, whole))
    }

    /// Reads the content of an element with the given tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take()
            .filter(|(found, ..)| *found == tag)
            .map(|(_, content, _)| content)
    }

    /// Reads the content of the next element if it has the given tag.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        (self.0.first() == Some(&tag)).then(|| self.expect(tag))?
    }

    /// Reads an element with the given tag: its content and all of it.
    fn whole(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        self.take()
            .filter(|(found, ..)| *found == tag)
            .map(|(_, content, whole)| (content, whole))
    }
}

/// Returns the consecutive elements with the given tag.
fn elements(der: &[u8], tag: u8) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader(der);
    std::iter::from_fn(move || reader.take())
        .filter(move |(found, ..)| *found == tag)
        .map(|(_, content, _)| content)
}

/// Returns the bytes of a bit string of whole bytes.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(&[0])
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let (content, whole) = outer.whole(tag::SEQUENCE)?;
        let mut parts = Reader(content);
        let (signed_content, signed) = parts.whole(tag::SEQUENCE)?;
        let algorithm = parts.expect(tag::SEQUENCE)?;
        let signature = bits(parts.expect(tag::BIT_STRING)?)?;
        if !outer.0.is_empty() || !parts.0.is_empty() {
            return None;
        }
        let mut fields = Reader(signed_content);
        let version = match fields.optional(tag::VERSION) {
            Some(version) => *Reader(version).expect(tag::INTEGER)?.last()? + 1,
            None => 1,
        };
        let _serial = fields.expect(tag::INTEGER)?;
        if fields.expect(tag::SEQUENCE)? != algorithm {
            return None;
        }
        let issuer = fields.expect(tag::SEQUENCE)?;
        let mut validity = Reader(fields.expect(tag::SEQUENCE)?);
        let validity = (time(&mut validity)?, time(&mut validity)?);
        let subject = fields.expect(tag::SEQUENCE)?;
        let key = Key::read(&mut fields)?;
        let mut extensions = Vec::new();
        while let Some((tag, content, _)) = fields.take() {
            if tag == tag::EXTENSIONS {
                extensions = read_extensions(content)?;
            }
        }
        Some(Certificate {
            der: whole,
            signed,
            algorithm,
            signature,
            version,
            issuer,
            subject,
            validity,
            key,
            extensions,
        })
    }

    fn extension(&self, id: &[u8]) -> Option<&'a [u8]> {
        self.extensions
            .iter()
            .find(|extension| extension.id == id)
            .map(|extension| extension.value)
    }

    /// Returns whether subject and issuer are the same.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Returns whether it has an unknown critical extension.
    pub(super) fn has_unknown_critical_extension(&self) -> bool {
        let known = [
            oid::KEY_USAGE,
            oid::SUBJECT_ALT_NAME,
            oid::BASIC_CONSTRAINTS,
            oid::NAME_CONSTRAINTS,
            oid::EXTENDED_KEY_USAGE,
        ];
        self.extensions.iter().any(|extension| {
            extension.critical
                && !known.contains(&extension.id)
                && !oid::WITHOUT_EFFECT.contains(&extension.id)
        })
    }

    /// The basic constraints: whether it is an authority, and its path length; `None` without the extension.
    pub(super) fn authority(&self) -> Option<(bool, Option<usize>)> {
        let mut content =
            Reader(Reader(self.extension(oid::BASIC_CONSTRAINTS)?).expect(tag::SEQUENCE)?);
        let is_authority = content
            .optional(tag::BOOLEAN)
            .is_some_and(|value| value != [0]);
        let depth = content.optional(tag::INTEGER).map(|value| match value {
            [depth] if *depth < 0x80 => usize::from(*depth),
            // Larger than any chain, or invalid: a negative path length allows none.
            [first, ..] if *first < 0x80 => usize::MAX,
            _ => 0,
        });
        Some((is_authority, depth))
    }

    /// Returns whether its key usage permits one of these purposes; without the extension every purpose.
    pub(super) fn allows(&self, usage: u8) -> bool {
        match self.extension(oid::KEY_USAGE) {
            Some(value) => Reader(value)
                .expect(tag::BIT_STRING)
                .and_then(|bits| bits.get(1))
                .is_some_and(|bits| bits & usage != 0),
            None => true,
        }
    }

    /// Returns whether its extended key usage permits server authentication.
    pub(super) fn is_for_servers(&self) -> bool {
        match self.extension(oid::EXTENDED_KEY_USAGE) {
            Some(value) => Reader(value).expect(tag::SEQUENCE).is_some_and(|content| {
                elements(content, tag::OID).any(|id| id == oid::SERVER_AUTH)
            }),
            None => true,
        }
    }

    /// Returns whether it has name constraints.
    pub(super) fn constrains_names(&self) -> bool {
        self.extension(oid::NAME_CONSTRAINTS).is_some()
    }

    fn alternative_names(&self, tag: u8) -> impl Iterator<Item = &'a [u8]> {
        let names = self
            .extension(oid::SUBJECT_ALT_NAME)
            .and_then(|value| Reader(value).expect(tag::SEQUENCE))
            .unwrap_or_default();
        elements(names, tag)
    }

    pub(super) fn host_names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.alternative_names(tag::DNS_NAME)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &'a [u8]> {
        self.alternative_names(tag::IP_ADDRESS)
    }

    pub(super) fn common_names(&self) -> impl Iterator<Item = &'a [u8]> {
        elements(self.subject, tag::SET)
            .flat_map(|names| elements(names, tag::SEQUENCE))
            .filter_map(|name| {
                let mut name = Reader(name);
                let id = name.expect(tag::OID)?;
                let (_, text, _) = name.take()?;
                (id == oid::COMMON_NAME).then_some(text)
            })
    }
}

impl<'a> Key<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let (content, der) = reader.whole(tag::SEQUENCE)?;
        let mut parts = Reader(content);
        let algorithm = parts.expect(tag::SEQUENCE)?;
        let bits = bits(parts.expect(tag::BIT_STRING)?)?;
        Some(Key {
            der,
            algorithm,
            bits,
        })
    }

    /// The length of an RSA key in bits; `None` for other keys.
    pub(super) fn rsa_length(&self) -> Option<usize> {
        if Reader(self.algorithm).expect(tag::OID) != Some(oid::RSA) {
            return None;
        }
        let mut numbers = Reader(Reader(self.bits).expect(tag::SEQUENCE)?);
        let modulus = numbers.expect(tag::INTEGER)?;
        let start = modulus.iter().position(|byte| *byte != 0)?;
        let zeros = modulus[start].leading_zeros() as usize;
        Some((modulus.len() - start) * 8 - zeros)
    }
}

fn read_extensions(content: &[u8]) -> Option<Vec<Extension<'_>>> {
    let mut list = Reader(Reader(content).expect(tag::SEQUENCE)?);
    let mut extensions: Vec<Extension<'_>> = Vec::new();
    while !list.0.is_empty() {
        let mut parts = Reader(list.expect(tag::SEQUENCE)?);
        let id = parts.expect(tag::OID)?;
        // Duplicate extensions could contradict each other.
        if extensions.iter().any(|extension| extension.id == id) {
            return None;
        }
        extensions.push(Extension {
            id,
            critical: parts
                .optional(tag::BOOLEAN)
                .is_some_and(|value| value != [0]),
            value: parts.expect(tag::OCTET_STRING)?,
        });
    }
    Some(extensions)
}

/// Reads `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` as seconds since 1970.
fn time(reader: &mut Reader<'_>) -> Option<i64> {
    let (tag, content, _) = reader.take()?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            // RFC 5280: two digits mean 1950 to 2049.
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut numbers = rest
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u32::from(pair[0] - b'0') * 10 + u32::from(pair[1] - b'0'));
    let mut next = || numbers.next();
    let date = NaiveDate::from_ymd_opt(year, next()?, next()?)?;
    let time = date.and_hms_opt(next()?, next()?, next()?)?;
    Some(time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    /// A P-256 certificate for db.example.org, created with OpenSSL.
    pub(super) const EXAMPLE: &str = include_str!("example.pem");

    fn example() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(EXAMPLE.as_bytes()).unwrap()
    }

    #[test]
    fn a_certificate_is_read() {
        let der = example();
        let certificate = Certificate::read(&der).unwrap();
        assert_eq!(certificate.version, 3);
        assert!(certificate.is_self_issued());
        assert_eq!(certificate.authority(), Some((false, None)));
        assert!(certificate.allows(DIGITAL_SIGNATURE) && !certificate.allows(KEY_CERT_SIGN));
        assert!(certificate.is_for_servers() && !certificate.has_unknown_critical_extension());
        let names: Vec<&[u8]> = certificate.host_names().collect();
        assert_eq!(names, [b"db.example.org".as_slice(), b"*.db.example.org"]);
        let addresses: Vec<&[u8]> = certificate.addresses().collect();
        assert_eq!(addresses, [[127, 0, 0, 1].as_slice()]);
        let names: Vec<&[u8]> = certificate.common_names().collect();
        assert_eq!(names, [b"db.example.org".as_slice()]);
        let (from, to) = certificate.validity;
        assert_eq!(to - from, 3650 * 86_400);
        assert_eq!(certificate.key.rsa_length(), None);
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let read = |tag: u8, text: &str| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend(text.bytes());
            time(&mut Reader(&der))
        };
        assert_eq!(read(tag::UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(tag::UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(
            read(tag::GENERALIZED_TIME, "20500101000000Z"),
            Some(2_524_608_000)
        );
        for wrong in [
            "",
            "Z",
            "7001010000Z",
            "701301000000Z",
            "70010100000+Z",
            "700101000000",
        ] {
            assert_eq!(read(tag::UTC_TIME, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_truncated_certificate_is_rejected() {
        let der = example();
        for length in 0..der.len() {
            assert!(Certificate::read(&der[..length]).is_none(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_rejected(
            changes in proptest::collection::vec((0_usize..4096, any::<u8>()), 1..8)
        ) {
            let mut der = example().to_vec();
            for (at, byte) in changes {
                let at = at % der.len();
                der[at] = byte;
            }
            if let Some(certificate) = Certificate::read(&der) {
                let _ = (certificate.authority(), certificate.allows(KEY_CERT_SIGN), certificate.is_for_servers());
                let _ = (certificate.host_names().count(), certificate.addresses().count());
                let _ = (certificate.common_names().count(), certificate.key.rsa_length());
            }
        }
    }
}
