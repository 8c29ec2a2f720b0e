//! One encoding or more of every type, by hand.

use crate::model::*;

/// Name in the registry, DER.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut samples = basic();
    samples.extend(kdc());
    samples.extend(application());
    samples.extend(session());
    samples.extend(preauth());
    samples.extend(authdata());
    samples.extend(elsewhere());
    samples
}

/// The DER of the first sample of that name.
pub(crate) fn named(name: &str) -> Vec<u8> {
    all()
        .into_iter()
        .find_map(|(sample, der)| (sample == name).then_some(der))
        .unwrap()
}

fn basic() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("principal", client()),
        ("principal", name(-128, &[])),
        ("keyblock", key()),
        ("enc_data", encrypted()),
        (
            "enc_data",
            seq(&[&ctx(0, &int(-135)), &ctx(2, &octets(b""))]),
        ),
        ("checksum", checksum()),
        ("host_addresses", seq(&[&address(), &address()])),
        ("authorization_data", ad()),
        (
            "padata_sequence",
            seq(&[&padata(19, b""), &padata(-1, b"x")]),
        ),
        ("padata_sequence", seq(&[])),
        ("etype_list", seq(&[&int(18), &int(-133)])),
        ("ticket", ticket()),
        ("enc_tkt_part", enc_tkt_part(true)),
        ("enc_tkt_part", enc_tkt_part(false)),
    ]
}

fn enc_tkt_part(optionals: bool) -> Vec<u8> {
    let transited = seq(&[&ctx(0, &int(1)), &ctx(1, &octets(b"EDU,MIT."))]);
    let mut parts = vec![
        ctx(0, &flags(0x4081_0000)),
        ctx(1, &key()),
        ctx(2, &realm()),
        ctx(3, &client()),
        ctx(4, &transited),
        ctx(5, &now()),
    ];
    if optionals {
        parts.push(ctx(6, &now()));
    }
    parts.push(ctx(7, &now()));
    if optionals {
        parts.push(ctx(8, &now()));
        parts.push(ctx(9, &seq(&[&address()])));
        parts.push(ctx(10, &ad()));
    }
    tlv(0x63, &[&seq(&[&parts.concat()])])
}

pub(crate) fn kdc_req_body(optionals: bool) -> Vec<u8> {
    let mut parts = vec![ctx(0, &flags(0x4001_0010))];
    if optionals {
        parts.push(ctx(1, &client()));
    }
    parts.push(ctx(2, &realm()));
    if optionals {
        parts.push(ctx(3, &server()));
        parts.push(ctx(4, &now()));
    }
    parts.push(ctx(5, &now()));
    if optionals {
        parts.push(ctx(6, &now()));
    }
    parts.push(ctx(7, &int(0xffff_fffe)));
    parts.push(ctx(8, &seq(&[&int(18), &int(17)])));
    if optionals {
        parts.push(ctx(9, &seq(&[&address()])));
        parts.push(ctx(10, &encrypted()));
        parts.push(ctx(11, &seq(&[&ticket(), &ticket()])));
    }
    seq(&[&parts.concat()])
}

fn kdc_req(msg_type: i64, optionals: bool) -> Vec<u8> {
    let padata = if optionals {
        ctx(3, &seq(&[&padata(128, b"\x30\x05\xa0\x03\x01\x01\xff")]))
    } else {
        Vec::new()
    };
    app(
        msg_type as u8,
        &[
            &ctx(1, &int(5)),
            &ctx(2, &int(msg_type)),
            &padata,
            &ctx(4, &kdc_req_body(optionals)),
        ],
    )
}

fn kdc_rep(msg_type: i64, optionals: bool) -> Vec<u8> {
    let padata = if optionals {
        ctx(2, &seq(&[&padata(3, b"salt")]))
    } else {
        Vec::new()
    };
    app(
        msg_type as u8,
        &[
            &ctx(0, &int(5)),
            &ctx(1, &int(msg_type)),
            &padata,
            &ctx(3, &realm()),
            &ctx(4, &client()),
            &ctx(5, &ticket()),
            &ctx(6, &encrypted()),
        ],
    )
}

pub(crate) fn enc_kdc_rep_part(tag: u8, optionals: bool) -> Vec<u8> {
    let last_req = seq(&[&seq(&[&ctx(0, &int(-5)), &ctx(1, &now())])]);
    let mut parts = vec![ctx(0, &key()), ctx(1, &last_req), ctx(2, &int(42))];
    if optionals {
        parts.push(ctx(3, &now()));
    }
    parts.push(ctx(4, &flags(0x0041_0000)));
    parts.push(ctx(5, &now()));
    if optionals {
        parts.push(ctx(6, &now()));
    }
    parts.push(ctx(7, &now()));
    if optionals {
        parts.push(ctx(8, &now()));
    }
    parts.push(ctx(9, &realm()));
    parts.push(ctx(10, &server()));
    if optionals {
        parts.push(ctx(11, &seq(&[&address()])));
        parts.push(ctx(12, &seq(&[&padata(149, b"")])));
    }
    app(tag, &[&parts.concat()])
}

fn kdc() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("kdc_req_body", kdc_req_body(true)),
        ("kdc_req_body", kdc_req_body(false)),
        ("as_req", kdc_req(10, true)),
        ("as_req", kdc_req(10, false)),
        ("tgs_req", kdc_req(12, true)),
        ("tgs_req", kdc_req(12, false)),
        ("as_rep", kdc_rep(11, true)),
        ("as_rep", kdc_rep(11, false)),
        ("tgs_rep", kdc_rep(13, true)),
        ("enc_kdc_rep_part", enc_kdc_rep_part(25, true)),
        ("enc_kdc_rep_part", enc_kdc_rep_part(26, true)),
        ("enc_kdc_rep_part", enc_kdc_rep_part(26, false)),
    ]
}

fn application() -> Vec<(&'static str, Vec<u8>)> {
    let header = |number: i64| [ctx(0, &int(5)), ctx(1, &int(number))].concat();
    let authenticator = |optionals: bool| {
        let middle = if optionals {
            [ctx(6, &key()), ctx(7, &int(0x8000_0000)), ctx(8, &ad())].concat()
        } else {
            Vec::new()
        };
        let cksum = if optionals {
            ctx(3, &checksum())
        } else {
            Vec::new()
        };
        app(
            2,
            &[
                &ctx(0, &int(5)),
                &ctx(1, &realm()),
                &ctx(2, &client()),
                &cksum,
                &ctx(4, &int(999_999)),
                &ctx(5, &now()),
                &middle,
            ],
        )
    };
    vec![
        (
            "ap_req",
            app(
                14,
                &[
                    &header(14),
                    &ctx(2, &flags(0x2000_0000)),
                    &ctx(3, &ticket()),
                    &ctx(4, &encrypted()),
                ],
            ),
        ),
        ("authenticator", authenticator(true)),
        ("authenticator", authenticator(false)),
        ("ap_rep", app(15, &[&header(15), &ctx(2, &encrypted())])),
        (
            "ap_rep_enc_part",
            app(
                27,
                &[
                    &ctx(0, &now()),
                    &ctx(1, &int(0)),
                    &ctx(2, &key()),
                    &ctx(3, &int(7)),
                ],
            ),
        ),
        (
            "ap_rep_enc_part",
            app(27, &[&ctx(0, &now()), &ctx(1, &int(0))]),
        ),
    ]
}

fn session() -> Vec<(&'static str, Vec<u8>)> {
    let header = |number: i64| [ctx(0, &int(5)), ctx(1, &int(number))].concat();
    let body = [
        ctx(0, &octets(b"user data")),
        ctx(1, &now()),
        ctx(2, &int(1)),
        ctx(3, &int(9)),
        ctx(4, &address()),
        ctx(5, &address()),
    ]
    .concat();
    let info = [
        ctx(0, &key()),
        ctx(1, &realm()),
        ctx(2, &client()),
        ctx(3, &flags(0x4000_0000)),
        ctx(4, &now()),
        ctx(5, &now()),
        ctx(6, &now()),
        ctx(7, &now()),
        ctx(8, &realm()),
        ctx(9, &server()),
        ctx(10, &seq(&[&address()])),
    ]
    .concat();
    let infos = seq(&[&seq(&[&info]), &seq(&[&ctx(0, &key())])]);
    vec![
        (
            "safe",
            app(
                20,
                &[&header(20), &ctx(2, &seq(&[&body])), &ctx(3, &checksum())],
            ),
        ),
        ("priv", app(21, &[&header(21), &ctx(3, &encrypted())])),
        ("enc_priv_part", app(28, &[&body])),
        (
            "enc_priv_part",
            app(28, &[&ctx(0, &octets(b"")), &ctx(4, &address())]),
        ),
        (
            "cred",
            app(
                22,
                &[
                    &header(22),
                    &ctx(2, &seq(&[&ticket(), &ticket()])),
                    &ctx(3, &encrypted()),
                ],
            ),
        ),
        (
            "enc_cred_part",
            app(
                29,
                &[
                    &ctx(0, &infos),
                    &ctx(1, &int(1)),
                    &ctx(2, &now()),
                    &ctx(3, &int(2)),
                    &ctx(4, &address()),
                    &ctx(5, &address()),
                ],
            ),
        ),
        ("enc_cred_part", app(29, &[&ctx(0, &infos)])),
        ("error", krb_error(true)),
        ("error", krb_error(false)),
    ]
}

fn krb_error(optionals: bool) -> Vec<u8> {
    let mut parts = vec![ctx(0, &int(5)), ctx(1, &int(30))];
    if optionals {
        parts.push(ctx(2, &now()));
        parts.push(ctx(3, &int(5)));
    }
    parts.push(ctx(4, &now()));
    parts.push(ctx(5, &int(999_999)));
    parts.push(ctx(6, &int(25)));
    if optionals {
        parts.push(ctx(7, &realm()));
        parts.push(ctx(8, &client()));
    }
    parts.push(ctx(9, &realm()));
    parts.push(ctx(10, &server()));
    if optionals {
        parts.push(ctx(11, &general("Vorauthentifizierung nötig".as_bytes())));
        parts.push(ctx(12, &octets(&seq(&[&padata(2, b"")]))));
    }
    app(30, &[&parts.concat()])
}

fn preauth() -> Vec<(&'static str, Vec<u8>)> {
    let typed = seq(&[
        &seq(&[&ctx(0, &int(104)), &ctx(1, &octets(b"data"))]),
        &seq(&[&ctx(0, &int(109))]),
    ]);
    let entry = |salt: Vec<u8>| seq(&[&ctx(0, &int(18)), &ctx(1, &salt)]);
    let armor = seq(&[&ctx(0, &int(1)), &ctx(1, &octets(b"ap-req"))]);
    let armored = seq(&[&ctx(0, &armor), &ctx(1, &checksum()), &ctx(2, &encrypted())]);
    let finished = seq(&[
        &ctx(0, &now()),
        &ctx(1, &int(4)),
        &ctx(2, &realm()),
        &ctx(3, &client()),
        &ctx(4, &checksum()),
    ]);
    let user_id = seq(&[
        &ctx(0, &int(77)),
        &ctx(1, &client()),
        &ctx(2, &realm()),
        &ctx(3, &octets(b"certificate")),
        &ctx(4, &flags(0x2000_0000)),
    ]);
    vec![
        ("typed_data", typed),
        (
            "kerb_error_data",
            seq(&[&ctx(1, &int(3)), &ctx(2, &octets(b"twelve bytes"))]),
        ),
        ("pa_enc_ts", seq(&[&ctx(0, &now()), &ctx(1, &int(123_456))])),
        ("pa_enc_ts", seq(&[&ctx(0, &now())])),
        (
            "etype_info",
            seq(&[&entry(octets(b"salt")), &seq(&[&ctx(0, &int(23))])]),
        ),
        (
            "etype_info2",
            seq(&[&entry(general("EXAMPLE.TESTjürgen".as_bytes()))]),
        ),
        (
            "etype_info2",
            seq(&[&seq(&[
                &ctx(0, &int(18)),
                &ctx(2, &octets(&[0, 0, 0x10, 0])),
            ])]),
        ),
        ("pa_pac_request", seq(&[&ctx(0, &[0x01, 0x01, 0xff])])),
        ("pa_pac_options", seq(&[&ctx(0, &flags(0x9000_0000))])),
        (
            "pa_for_user",
            seq(&[
                &ctx(0, &client()),
                &ctx(1, &realm()),
                &ctx(2, &checksum()),
                &ctx(3, &general(b"Kerberos")),
            ]),
        ),
        (
            "pa_s4u_x509_user",
            seq(&[&ctx(0, &user_id), &ctx(1, &checksum())]),
        ),
        ("pa_fx_fast_request", ctx(0, &armored)),
        ("pa_fx_fast_reply", ctx(0, &seq(&[&ctx(0, &encrypted())]))),
        (
            "fast_req",
            seq(&[
                &ctx(0, &flags(0x4000_0000)),
                &ctx(1, &seq(&[&padata(138, b"challenge")])),
                &ctx(2, &kdc_req_body(true)),
            ]),
        ),
        (
            "fast_response",
            seq(&[
                &ctx(0, &seq(&[])),
                &ctx(1, &key()),
                &ctx(2, &finished),
                &ctx(3, &int(42)),
            ]),
        ),
        (
            "sam_challenge_2",
            seq(&[
                &ctx(0, &seq(&[&octets(b"opaque")])),
                &ctx(1, &seq(&[&checksum()])),
            ]),
        ),
        (
            "sam_response_2",
            seq(&[
                &ctx(0, &int(43)),
                &ctx(1, &flags(0x8000_0000)),
                &ctx(2, &octets(b"track")),
                &ctx(3, &encrypted()),
                &ctx(4, &int(11)),
            ]),
        ),
        (
            "enc_sam_response_enc_2",
            seq(&[&ctx(0, &int(88)), &ctx(1, &octets(b"single use"))]),
        ),
    ]
}

fn authdata() -> Vec<(&'static str, Vec<u8>)> {
    let verifier = seq(&[
        &ctx(0, &client()),
        &ctx(1, &int(5)),
        &ctx(2, &int(18)),
        &ctx(3, &checksum()),
    ]);
    let short = seq(&[&ctx(3, &checksum())]);
    vec![
        (
            "ad_kdcissued",
            seq(&[
                &ctx(0, &checksum()),
                &ctx(1, &realm()),
                &ctx(2, &server()),
                &ctx(3, &ad()),
            ]),
        ),
        ("ad_and_or", seq(&[&ctx(0, &int(1)), &ctx(1, &ad())])),
        ("cammac", seq(&[&ctx(0, &ad())])),
        (
            "cammac",
            seq(&[
                &ctx(0, &ad()),
                &ctx(1, &verifier),
                &ctx(2, &verifier),
                &ctx(3, &seq(&[&short, &verifier])),
            ]),
        ),
        (
            "ad_login_alias",
            seq(&[&ctx(0, &seq(&[&client(), &server()]))]),
        ),
        (
            "kerb_ad_restriction_entry",
            seq(&[&ctx(0, &int(0)), &ctx(1, &octets(&[7; 40]))]),
        ),
    ]
}

fn elsewhere() -> Vec<(&'static str, Vec<u8>)> {
    let implicit = |number: u8, bytes: &[u8]| tlv(0x80 | number, &[bytes]);
    let otp_flags = implicit(0, &[0, 0x40, 0, 0, 0]);
    let algorithm = seq(&[
        &tlv(0x06, &[&[0x2b, 0x0e, 0x03, 0x02, 0x1a]]),
        &[0x05, 0x00],
    ]);
    let info = tlv(
        0x30,
        &[
            &otp_flags,
            &implicit(1, b"vendor"),
            &implicit(3, &[6]),
            &tlv(0xa7, &[&algorithm]),
            &implicit(8, &[0x03, 0xe8]),
        ],
    );
    let request = seq(&[
        &otp_flags,
        &tlv(0xa2, &[&encrypted()[2..]]),
        &implicit(5, b"123456"),
        &implicit(8, NOW.as_bytes()),
    ]);
    vec![
        ("otp_tokeninfo", info.clone()),
        (
            "pa_otp_challenge",
            seq(&[
                &implicit(0, b"nonce"),
                &tlv(0xa2, &[&info]),
                &implicit(3, b"salt"),
            ]),
        ),
        ("pa_otp_req", request),
        (
            "iakerb_header",
            seq(&[&ctx(1, &tlv(0x0c, &[REALM])), &ctx(2, &octets(b"cookie"))]),
        ),
        ("iakerb_finished", seq(&[&ctx(1, &checksum())])),
        (
            "kkdcp_message",
            seq(&[
                &ctx(0, &octets(b"\0\0\0\x02\x30\0")),
                &ctx(1, &realm()),
                &ctx(2, &int(0)),
            ]),
        ),
        (
            "setpw_req",
            seq(&[
                &ctx(0, &octets("пароль".as_bytes())),
                &ctx(1, &client()),
                &ctx(2, &realm()),
            ]),
        ),
    ]
}
