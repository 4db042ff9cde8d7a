//! The builds of PostgreSQL that may be downloaded, with their checksums.
//!
//! Compiled in, so that the download server need not be trusted. Updated by hand with each minor release.

/// A build for one platform.
#[derive(Debug)]
pub struct Pin {
    /// The platform in the package's name.
    pub platform: &'static str,
    pub major: u32,
    /// The version of the package.
    pub version: &'static str,
    /// The size of the archive in bytes.
    pub size: u64,
    /// The SHA-512 of the archive, in base64.
    pub sha512: &'static str,
}

pub fn pin(platform: &str, major: u32) -> Option<&'static Pin> {
    PINS.iter()
        .find(|pin| pin.platform == platform && pin.major == major)
}

/// Returns this machine's platform as in package names; `None` if there are no builds for it.
pub fn platform() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => glibc("/lib64/ld-linux-x86-64.so.2").then_some("linux-x64"),
        ("linux", "aarch64") => glibc("/lib/ld-linux-aarch64.so.1").then_some("linux-arm64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("windows", "x86_64") => Some("windows-x64"),
        _ => None,
    }
}

/// The builds need glibc; a static binary of af-db also runs without.
fn glibc(loader: &str) -> bool {
    std::path::Path::new(loader).exists()
}

pub const PINS: &[Pin] = &[
    Pin {
        platform: "linux-x64",
        major: 14,
        version: "14.23.0-beta.17",
        size: 22_888_359,
        sha512: "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    },
    Pin {
        platform: "linux-x64",
        major: 15,
        version: "15.18.0-beta.17",
        size: 23_027_281,
        sha512: "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
    },
    Pin {
        platform: "linux-x64",
        major: 16,
        version: "16.14.0-beta.17",
        size: 23_188_454,
        sha512: "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    },
    Pin {
        platform: "linux-x64",
        major: 17,
        version: "17.10.0-beta.17",
        size: 23_500_205,
        sha512: "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    },
    Pin {
        platform: "linux-x64",
        major: 18,
        version: "18.4.0-beta.17",
        size: 23_732_346,
        sha512: "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    },
    Pin {
        platform: "linux-arm64",
        major: 15,
        version: "15.18.0-beta.17",
        size: 22_320_686,
        sha512: "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==",
    },
    Pin {
        platform: "linux-arm64",
        major: 16,
        version: "16.14.0-beta.17",
        size: 22_464_151,
        sha512: "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==",
    },
    Pin {
        platform: "linux-arm64",
        major: 17,
        version: "17.10.0-beta.17",
        size: 22_767_514,
        sha512: "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
    },
    Pin {
        platform: "linux-arm64",
        major: 18,
        version: "18.4.0-beta.17",
        size: 22_982_269,
        sha512: "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    },
    Pin {
        platform: "darwin-arm64",
        major: 15,
        version: "15.18.0-beta.17",
        size: 50_498_279,
        sha512: "1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q==",
    },
    Pin {
        platform: "darwin-arm64",
        major: 16,
        version: "16.14.0-beta.17",
        size: 50_806_689,
        sha512: "CB1DFZ08zfmNapx231rAJW74UZfs1jQmeGLwbQSaAIRVs2uqEdMhVNLwVlztFG3ZPSeuCsgTn/0yeYDmKF67og==",
    },
    Pin {
        platform: "darwin-arm64",
        major: 17,
        version: "17.10.0-beta.17",
        size: 51_141_714,
        sha512: "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
    },
    Pin {
        platform: "darwin-arm64",
        major: 18,
        version: "18.4.0-beta.17",
        size: 55_198_393,
        sha512: "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
    },
    Pin {
        platform: "darwin-x64",
        major: 15,
        version: "15.18.0-beta.17",
        size: 50_498_280,
        sha512: "W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ==",
    },
    Pin {
        platform: "darwin-x64",
        major: 16,
        version: "16.14.0-beta.17",
        size: 50_806_685,
        sha512: "zikibpPYGWokfT/OFWNHCwerA3ZGat0ZyCIXOIbIucLBMDHztQ2WZQ9R5zil6oOxzElrMz2Q4aEOssGNrMDdyg==",
    },
    Pin {
        platform: "darwin-x64",
        major: 17,
        version: "17.10.0-beta.17",
        size: 51_141_708,
        sha512: "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
    },
    Pin {
        platform: "darwin-x64",
        major: 18,
        version: "18.4.0-beta.17",
        size: 55_198_394,
        sha512: "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
    },
    Pin {
        platform: "windows-x64",
        major: 15,
        version: "15.18.0-beta.17",
        size: 35_683_922,
        sha512: "QE/GDEXKhEgbOJ2EIn57qcHNso3TV3s5ixjxzx7lgz46yGKUzTgXEHrgTEw2ckkNpIJSu9kUVIKck1ijnMlurw==",
    },
    Pin {
        platform: "windows-x64",
        major: 16,
        version: "16.14.0-beta.17",
        size: 37_302_807,
        sha512: "Wn4nuAT1H7SIJuLWPs+C1aSdZKpbTloCr0Xaozdfg956lUVvv3iHv6K8Lsc+xmtt1qQpTno3PJLqAgzJ/lg60Q==",
    },
    Pin {
        platform: "windows-x64",
        major: 17,
        version: "17.10.0-beta.17",
        size: 37_794_841,
        sha512: "q6xIETTkv67i1QlTWz1LAKb3Z+vG2V3qrp+BjLEWhCQ9jE4hbbsQ/J/3wiOPFLJbuwak7CfHC9EUJG7txAbGKw==",
    },
    Pin {
        platform: "windows-x64",
        major: 18,
        version: "18.4.0-beta.17",
        size: 40_606_855,
        sha512: "AwRerliA4IGWyW5jWBvHt5vidVUSB0QQW9Tt2y7ScnmifnCb/awfxZr4BkBSTv+gNt8Djcddqs+xSF5Z6/CkTg==",
    },
];
