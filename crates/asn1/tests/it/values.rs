//! Values built in Rust give the bytes put together by hand, and come back field by field.

use trihound_asn1::{
    ApOptions, ApRep, ApReq, AsReq, AuthorizationDataElement, Checksum, EncTicketPart,
    EncryptedData, EncryptionKey, EtypeInfo2Entry, HostAddress, KdcOptions, KdcRep, KdcReqBody,
    KerbPaPacRequest, KerberosTime, KrbCred, KrbError, KrbPriv, KrbSafe, KrbSafeBody, Message,
    OctetString, PaData, PaPacOptions, PacOptions, PrincipalName, Raw, Realm, TgsRep, TgsReq,
    Ticket, TicketFlags, TransitedEncoding, UInt32, name_type, pa_type,
};

use crate::model::{KEY, NOW_SECONDS};
use crate::samples;

fn realm_value() -> Realm {
    Realm::from("EXAMPLE.TEST")
}

fn client_value() -> PrincipalName {
    PrincipalName::new(name_type::NT_PRINCIPAL, ["jürgen"])
}

fn server_value() -> PrincipalName {
    PrincipalName::new(name_type::NT_SRV_INST, ["HTTP", "www.example.test"])
}

fn encrypted_value() -> EncryptedData {
    EncryptedData::new(18, Some(3), b"sealed bytes".to_vec())
}

fn checksum_value() -> Checksum {
    Checksum::new(16, b"twelve bytes".to_vec())
}

fn address_value() -> HostAddress {
    HostAddress {
        addr_type: 2,
        address: OctetString::from(vec![127, 0, 0, 1]),
    }
}

fn now_value() -> KerberosTime {
    KerberosTime::from_seconds(NOW_SECONDS)
}

fn ad_value() -> Vec<AuthorizationDataElement> {
    vec![AuthorizationDataElement::new(1, vec![0x30, 0])]
}

fn ticket_value() -> Raw<Ticket> {
    Raw::new(&Ticket {
        tkt_vno: 5,
        realm: realm_value(),
        sname: server_value(),
        enc_part: encrypted_value(),
    })
    .unwrap()
}

fn body_value() -> KdcReqBody {
    KdcReqBody {
        kdc_options: KdcOptions::FORWARDABLE | KdcOptions::CANONICALIZE | KdcOptions::RENEWABLE_OK,
        cname: Some(client_value()),
        realm: realm_value(),
        sname: Some(server_value()),
        from: Some(now_value()),
        till: now_value(),
        rtime: Some(now_value()),
        nonce: UInt32::new(0xffff_fffe),
        etype: vec![18, 17],
        addresses: Some(vec![address_value()]),
        enc_authorization_data: Some(encrypted_value()),
        additional_tickets: Some(vec![ticket_value(), ticket_value()]),
    }
}

#[test]
fn requests() {
    let body = body_value();
    assert_eq!(body.to_der().unwrap(), samples::named("kdc_req_body"));
    assert_eq!(
        KdcReqBody::from_der(&samples::named("kdc_req_body")).unwrap(),
        body
    );
    let pac = KerbPaPacRequest { include_pac: true }.to_der().unwrap();
    let padata = Some(vec![PaData::new(pa_type::PA_PAC_REQUEST, pac)]);
    let body = Raw::new(&body).unwrap();
    let request = AsReq::new(padata.clone(), body.clone());
    assert_eq!(request.to_der().unwrap(), samples::named("as_req"));
    assert_eq!(AsReq::from_der(&samples::named("as_req")).unwrap(), request);
    let request = TgsReq::new(padata, body);
    assert_eq!(request.to_der().unwrap(), samples::named("tgs_req"));
    assert_eq!(request.msg_type, 12);
}

#[test]
fn replies() {
    let reply = TgsRep(KdcRep {
        pvno: 5,
        msg_type: 13,
        padata: Some(vec![PaData::new(pa_type::PA_PW_SALT, b"salt".to_vec())]),
        crealm: realm_value(),
        cname: client_value(),
        ticket: ticket_value(),
        enc_part: encrypted_value(),
    });
    assert_eq!(reply.to_der().unwrap(), samples::named("tgs_rep"));
    assert_eq!(TgsRep::from_der(&samples::named("tgs_rep")).unwrap(), reply);
}

#[test]
fn tickets() {
    let part = EncTicketPart {
        flags: TicketFlags::FORWARDABLE | TicketFlags::RENEWABLE | TicketFlags::ENC_PA_REP,
        key: EncryptionKey::new(17, KEY),
        crealm: realm_value(),
        cname: client_value(),
        transited: TransitedEncoding {
            tr_type: 1,
            contents: OctetString::from_static(b"EDU,MIT."),
        },
        authtime: now_value(),
        starttime: Some(now_value()),
        endtime: now_value(),
        renew_till: Some(now_value()),
        caddr: Some(vec![address_value()]),
        authorization_data: Some(ad_value()),
    };
    assert_eq!(part.to_der().unwrap(), samples::named("enc_tkt_part"));
    let decoded = EncTicketPart::from_der(&samples::named("enc_tkt_part")).unwrap();
    assert_eq!(decoded.key.keyvalue.expose(), KEY);
    assert_eq!(decoded.flags, part.flags);
    assert_eq!(decoded.endtime.seconds(), NOW_SECONDS);
    assert_eq!(ticket_value().der(), samples::named("ticket"));
    assert_eq!(ticket_value().decode().unwrap().sname, server_value());
}

#[test]
fn the_ap_exchange() {
    let request = ApReq::new(
        ApOptions::MUTUAL_REQUIRED,
        ticket_value(),
        encrypted_value(),
    );
    assert_eq!(request.to_der().unwrap(), samples::named("ap_req"));
    let reply = ApRep::new(encrypted_value());
    assert_eq!(reply.to_der().unwrap(), samples::named("ap_rep"));
}

#[test]
fn session_messages() {
    let body = KrbSafeBody {
        user_data: OctetString::from_static(b"user data"),
        timestamp: Some(now_value()),
        usec: Some(1),
        seq_number: Some(UInt32::new(9)),
        s_address: address_value(),
        r_address: Some(address_value()),
    };
    let safe = KrbSafe::new(Raw::new(&body).unwrap(), checksum_value());
    assert_eq!(safe.to_der().unwrap(), samples::named("safe"));
    assert_eq!(safe.safe_body.decode().unwrap(), body);
    let private = KrbPriv::new(encrypted_value());
    assert_eq!(private.to_der().unwrap(), samples::named("priv"));
    let cred = KrbCred::new(vec![ticket_value(), ticket_value()], encrypted_value());
    assert_eq!(cred.to_der().unwrap(), samples::named("cred"));
}

#[test]
fn errors() {
    let hints = vec![PaData::new(pa_type::PA_ENC_TIMESTAMP, Vec::new())];
    let error = KrbError {
        pvno: 5,
        msg_type: 30,
        ctime: Some(now_value()),
        cusec: Some(5),
        stime: now_value(),
        susec: 999_999,
        error_code: 25,
        crealm: Some(realm_value()),
        cname: Some(client_value()),
        realm: realm_value(),
        sname: server_value(),
        e_text: Some("Vorauthentifizierung nötig".into()),
        e_data: Some(OctetString::from(hints.to_der().unwrap())),
    };
    assert_eq!(error.to_der().unwrap(), samples::named("error"));
    assert_eq!(KrbError::from_der(&samples::named("error")).unwrap(), error);
}

#[test]
fn pre_authentication_data() {
    let entry = EtypeInfo2Entry {
        etype: 18,
        salt: Some("EXAMPLE.TESTjürgen".into()),
        s2kparams: None,
    };
    assert_eq!(vec![entry].to_der().unwrap(), samples::named("etype_info2"));
    let options = PaPacOptions {
        flags: PacOptions::CLAIMS | PacOptions::RESOURCE_BASED_CONSTRAINED_DELEGATION,
    };
    assert_eq!(options.to_der().unwrap(), samples::named("pa_pac_options"));
}
