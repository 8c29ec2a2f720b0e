//! The exported functions over packages of a test realm, as a C program calls them.

use core::ffi::c_void;
use core::ptr::{null, null_mut};
use std::sync::{Arc, LazyLock};

use trihound::krb5::{Config, MemoryStore};
use trihound::ntlm::{LocalVerifier, MemoryAccounts, NtlmConfig, NtlmPolicy, NtlmRule};
use trihound::sansio::{SystemClock, Transport};
use trihound::sspi::{RegisteredPackage, SecurityStatus as S};
use trihound::{NegotiatePolicy, Ntlm, OsRandom, Packages};
use trihound_test_realm::TestRealm;

use crate::exports as e;
use crate::provider::{Provider, provide};
use crate::text::{Narrow, Text, Wide, text};
use crate::types as c;
use crate::{memory, pointer};

mod answers;

const SERVICE: &str = "HTTP/web.example.test";

struct World {
    packages: Packages,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let realm = TestRealm::builder("EXAMPLE.TEST")
        .principal("alice", "password")
        .service(SERVICE)
        .build()
        .unwrap();
    let mut config = Config::default();
    config.default_realm = Some("EXAMPLE.TEST".to_owned());
    let store = MemoryStore::with_keytab(Arc::new(realm.keytab(&[SERVICE]).unwrap()));
    let kerberos = trihound::kerberos(
        Arc::new(config),
        Arc::new(store),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let accounts = MemoryAccounts::new().with_password("EXAMPLE", "alice", "password".into());
    let ntlm = NtlmConfig::default()
        .with_policy(NtlmPolicy::both(NtlmRule::Allow))
        .with_target_names([SERVICE])
        .with_verifier(Arc::new(LocalVerifier::new(accounts)));
    let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
    let packages = Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap();
    let table = packages.table().unwrap();
    provide(move || {
        let way = move || -> Box<dyn Transport> { Box::new(realm.transport()) };
        Provider::new(table, Box::new(way))
    });
    World { packages }
});

fn words(text: &str) -> Vec<u16> {
    let mut units = Wide::encode(text);
    units.push(0);
    units
}

fn chars(text: &str) -> Vec<c::SEC_CHAR> {
    let mut units = Narrow::encode(text);
    units.push(0);
    units
}

const NO_HANDLE: c::SecHandle = c::SecHandle {
    dwLower: usize::MAX,
    dwUpper: usize::MAX,
};

fn status(number: c::SECURITY_STATUS) -> S {
    S::from_bits(number.cast_unsigned())
}

/// An identity whose texts live with it.
struct Alice {
    user: Vec<u16>,
    domain: Vec<u16>,
    password: Vec<u16>,
}

impl Alice {
    fn new(password: &str, domain: &str) -> Self {
        Self {
            user: Wide::encode("alice"),
            domain: Wide::encode(domain),
            password: Wide::encode(password),
        }
    }

    fn identity(&self) -> c::SEC_WINNT_AUTH_IDENTITY {
        let length = |text: &Vec<u16>| u32::try_from(text.len()).unwrap();
        c::SEC_WINNT_AUTH_IDENTITY {
            User: self.user.as_ptr().cast(),
            UserLength: length(&self.user),
            Domain: self.domain.as_ptr().cast(),
            DomainLength: length(&self.domain),
            Password: self.password.as_ptr().cast(),
            PasswordLength: length(&self.password),
            Flags: c::SEC_WINNT_AUTH_IDENTITY_UNICODE,
        }
    }
}

fn acquire(package: &str, uses: u32, auth_data: *mut c_void) -> Result<c::CredHandle, S> {
    LazyLock::force(&WORLD);
    let mut package = chars(package);
    let mut handle = NO_HANDLE;
    let mut end = c::TimeStamp {
        LowPart: 0,
        HighPart: 0,
    };
    // SAFETY: everything lives until the call returns.
    let answer = status(unsafe {
        e::AcquireCredentialsHandleA(
            null_mut(),
            package.as_mut_ptr(),
            uses,
            null_mut(),
            auth_data,
            None,
            null_mut(),
            &raw mut handle,
            &raw mut end,
        )
    });
    (answer == S::SEC_E_OK).then_some(handle).ok_or(answer)
}

fn client(package: &str, password: &str) -> Result<c::CredHandle, S> {
    let domain = if package == "NTLM" {
        "EXAMPLE"
    } else {
        "EXAMPLE.TEST"
    };
    let alice = Alice::new(password, domain);
    let mut identity = alice.identity();
    acquire(package, 2, (&raw mut identity).cast())
}

fn service(package: &str) -> c::CredHandle {
    acquire(package, 1, null_mut()).unwrap()
}

fn token(memory: &mut [u8]) -> c::SecBuffer {
    c::SecBuffer {
        cbBuffer: u32::try_from(memory.len()).unwrap(),
        BufferType: 2,
        pvBuffer: memory.as_mut_ptr().cast(),
    }
}

fn desc(buffers: &mut [c::SecBuffer]) -> c::SecBufferDesc {
    c::SecBufferDesc {
        ulVersion: 0,
        cBuffers: u32::try_from(buffers.len()).unwrap(),
        pBuffers: buffers.as_mut_ptr(),
    }
}

/// ISC_REQ_ of replay and sequence detection, confidentiality, integrity and mutual authentication.
const ASKED: u32 = 0x1_001E;
const ALLOCATE: u32 = 0x100;

/// One side of a handshake.
struct Side {
    credential: c::CredHandle,
    context: Option<c::CtxtHandle>,
    is_client: bool,
    flags: u32,
    attributes: u32,
}

impl Side {
    fn new(credential: c::CredHandle, is_client: bool) -> Self {
        Self {
            credential,
            context: None,
            is_client,
            flags: if is_client {
                ASKED | ALLOCATE
            } else {
                ALLOCATE
            },
            attributes: 0,
        }
    }

    /// One call with a token of the peer; an allocated output token is given back.
    fn step(&mut self, input: Option<&[u8]>) -> (S, Vec<u8>) {
        let mut output = [token(&mut [])];
        let answer = self.call(input, &mut output, true);
        // SAFETY: the call made the token as long as it says.
        let made = unsafe { pointer::bytes(output[0].pvBuffer.cast(), output[0].cbBuffer, "it") };
        let made = made.unwrap().to_vec();
        if !made.is_empty() {
            // SAFETY: it was allocated.
            let answer = unsafe { e::FreeContextBuffer(output[0].pvBuffer) };
            assert_eq!(status(answer), S::SEC_E_OK);
        }
        (answer, made)
    }

    fn call(
        &mut self,
        input: Option<&[u8]>,
        output: &mut [c::SecBuffer],
        is_first_null: bool,
    ) -> S {
        let mut input_memory = input.unwrap_or_default().to_vec();
        let mut input_buffers = [token(&mut input_memory)];
        let mut input_desc = desc(&mut input_buffers);
        let mut output_desc = desc(output);
        let mut context = self.context.unwrap_or(NO_HANDLE);
        let mut new_context = NO_HANDLE;
        let mut end = c::TimeStamp {
            LowPart: 0,
            HighPart: 0,
        };
        let mut target = words(SERVICE);
        // Later calls name a credential that was freed, or none.
        let (credential, place) = match self.context {
            Some(_) if self.is_client => (&raw mut self.credential, &raw mut context),
            Some(_) => (null_mut(), &raw mut context),
            None => (&raw mut self.credential, null_mut()),
        };
        let input = if input.is_none() && is_first_null {
            null_mut()
        } else {
            &raw mut input_desc
        };
        // SAFETY: everything lives until the call returns.
        let answer = status(unsafe {
            if self.is_client {
                e::InitializeSecurityContextW(
                    credential,
                    place,
                    target.as_mut_ptr(),
                    self.flags,
                    0,
                    0x10,
                    input,
                    0,
                    &raw mut new_context,
                    &raw mut output_desc,
                    &raw mut self.attributes,
                    &raw mut end,
                )
            } else {
                e::AcceptSecurityContext(
                    credential,
                    place,
                    input,
                    self.flags,
                    0x10,
                    &raw mut new_context,
                    &raw mut output_desc,
                    &raw mut self.attributes,
                    &raw mut end,
                )
            }
        });
        if answer.is_success() {
            self.context = Some(new_context);
        }
        answer
    }

    fn context(&self) -> c::CtxtHandle {
        self.context.unwrap()
    }

    fn delete(&mut self) -> S {
        // SAFETY: the handle is there to be read.
        status(unsafe { e::DeleteSecurityContext(&raw mut *self.context.as_mut().unwrap()) })
    }
}

fn free(mut credential: c::CredHandle) -> S {
    // SAFETY: the handle is there to be read.
    status(unsafe { e::FreeCredentialsHandle(&raw mut credential) })
}

/// Both sides to the end; their credentials are freed before their contexts.
fn established(package: &str) -> (Side, Side) {
    let mut client = Side::new(client(package, "password").unwrap(), true);
    let mut service = Side::new(service(package), false);
    let mut to_client: Option<Vec<u8>> = None;
    for round in 0.. {
        assert!(round < 8);
        let (client_status, to_service) = client.step(to_client.as_deref());
        assert!(client_status.is_success(), "{package}: {client_status}");
        if !to_service.is_empty() {
            let (service_status, answer) = service.step(Some(&to_service));
            assert!(service_status.is_success(), "{package}: {service_status}");
            to_client = Some(answer).filter(|answer| !answer.is_empty());
        }
        if round == 0 {
            assert_eq!(free(client.credential), S::SEC_E_OK);
            assert_eq!(free(service.credential), S::SEC_E_OK);
        }
        if client_status == S::SEC_E_OK && to_client.is_none() {
            break;
        }
        if client_status == S::SEC_E_OK {
            break;
        }
    }
    (client, service)
}

fn query<V: Copy>(context: c::CtxtHandle, attribute: u32, empty: V) -> Result<V, S> {
    let (mut context, mut value) = (context, empty);
    // SAFETY: the structure is that of the attribute.
    let answer = status(unsafe {
        e::QueryContextAttributesA(&raw mut context, attribute, (&raw mut value).cast())
    });
    (answer == S::SEC_E_OK).then_some(value).ok_or(answer)
}

fn free_text(at: *mut c::SEC_CHAR) -> String {
    // SAFETY: the text was allocated with its end, and is freed once.
    unsafe {
        let read = text::<Narrow>(at, "it").unwrap().unwrap();
        assert_eq!(status(e::FreeContextBuffer(at.cast())), S::SEC_E_OK);
        read
    }
}

#[test]
fn each_package_makes_a_context_whose_messages_arrive() {
    for package in ["Kerberos", "NTLM", "Negotiate"] {
        let (mut client, mut service) = established(package);
        let sizes = c::SecPkgContext_Sizes {
            cbMaxToken: 0,
            cbMaxSignature: 0,
            cbBlockSize: 0,
            cbSecurityTrailer: 0,
        };
        let sizes = query(client.context(), 0, sizes).unwrap();
        let mut trailer = vec![0u8; sizes.cbSecurityTrailer as usize];
        let mut data = *b"hello, service";
        let mut buffers = [token(&mut trailer), token(&mut data)];
        buffers[1].BufferType = 1;
        let (mut from, mut to) = (client.context(), service.context());
        let mut message = desc(&mut buffers);
        let mut quality = 7;
        // SAFETY: everything lives until the calls return.
        unsafe {
            let sealed = e::EncryptMessage(&raw mut from, 0, &raw mut message, 0);
            assert_eq!(status(sealed), S::SEC_E_OK, "{package}");
            let opened = e::DecryptMessage(&raw mut to, &raw mut message, 0, &raw mut quality);
            assert_eq!(status(opened), S::SEC_E_OK, "{package}");
        }
        assert_eq!(quality, 0);
        assert_eq!(&data, b"hello, service");
        let signature = sign(from, b"signed");
        assert_eq!(verify(to, b"signed", &signature), S::SEC_E_OK, "{package}");
        let signature = sign(from, b"signed");
        assert_eq!(verify(to, b"sighed", &signature), S::SEC_E_MESSAGE_ALTERED);
        for side in [&mut client, &mut service] {
            assert_eq!(side.delete(), S::SEC_E_OK);
            assert_eq!(side.delete(), S::SEC_E_INVALID_HANDLE);
        }
    }
}

fn sign(mut context: c::CtxtHandle, text: &[u8]) -> Vec<u8> {
    let (mut signature, mut data) = (vec![0u8; 64], text.to_vec());
    let mut buffers = [token(&mut signature), token(&mut data)];
    buffers[1].BufferType = 1;
    let mut message = desc(&mut buffers);
    // SAFETY: everything lives until the call returns.
    let answer = unsafe { e::MakeSignature(&raw mut context, 0, &raw mut message, 0) };
    assert_eq!(status(answer), S::SEC_E_OK);
    signature.truncate(buffers[0].cbBuffer as usize);
    signature
}

fn verify(mut context: c::CtxtHandle, text: &[u8], signature: &[u8]) -> S {
    let (mut signature, mut data) = (signature.to_vec(), text.to_vec());
    let mut buffers = [token(&mut signature), token(&mut data)];
    buffers[1].BufferType = 1;
    let mut message = desc(&mut buffers);
    // SAFETY: everything lives until the call returns.
    status(unsafe { e::VerifySignature(&raw mut context, &raw mut message, 0, null_mut()) })
}

#[test]
fn an_acceptor_learns_who_its_client_is() {
    let (client, service) = established("Kerberos");
    let names = c::SecPkgContext_NamesA {
        sUserName: null_mut(),
    };
    let names = query(service.context(), 1, names).unwrap();
    assert_eq!(free_text(names.sUserName), "alice@EXAMPLE.TEST");
    let native = c::SecPkgContext_NativeNamesA {
        sClientName: null_mut(),
        sServerName: null_mut(),
    };
    let native = query(client.context(), 13, native).unwrap();
    assert_eq!(free_text(native.sClientName), "alice@EXAMPLE.TEST");
    assert_eq!(
        free_text(native.sServerName),
        format!("{SERVICE}@EXAMPLE.TEST")
    );
    let mut place: c::HANDLE = null_mut();
    let mut context = service.context();
    // SAFETY: the places live until the calls return; the token is one of this library's.
    unsafe {
        let answer = e::QuerySecurityContextToken(&raw mut context, &raw mut place);
        assert_eq!(status(answer), S::SEC_E_OK);
        let token = place.cast::<c::TRIHOUND_ACCESS_TOKEN>().read();
        assert_eq!(
            text::<Narrow>(token.ClientName, "it").unwrap().unwrap(),
            "alice@EXAMPLE.TEST"
        );
        assert_eq!(token.ImpersonationLevel, 2);
        assert_eq!(status(e::FreeContextBuffer(place)), S::SEC_E_OK);
        assert_eq!(status(e::FreeContextBuffer(place)), S::SEC_E_INVALID_HANDLE);
    }
}

#[test]
fn the_token_of_the_attribute_ends_with_its_context() {
    let (_client, mut service) = established("NTLM");
    let empty = c::SecPkgContext_AccessToken {
        AccessToken: null_mut(),
    };
    let one = query(service.context(), 18, empty).unwrap();
    let again = query(service.context(), 18, empty).unwrap();
    assert_eq!(one.AccessToken, again.AccessToken);
    assert_eq!(service.delete(), S::SEC_E_OK);
    // SAFETY: what was freed is told from what was not.
    let answer = unsafe { e::FreeContextBuffer(one.AccessToken) };
    assert_eq!(status(answer), S::SEC_E_INVALID_HANDLE);
}

#[test]
fn an_attribute_needs_a_place_that_is_large_enough() {
    let (client, _service) = established("Kerberos");
    let mut context = client.context();
    let mut sizes = [0u32; 4];
    let place: *mut c_void = sizes.as_mut_ptr().cast();
    // SAFETY: the place is as large as is said, or it is refused.
    unsafe {
        let answer = e::QueryContextAttributesExW(&raw mut context, 0, place, 15);
        assert_eq!(status(answer), S::SEC_E_BUFFER_TOO_SMALL);
        let answer = e::QueryContextAttributesExW(&raw mut context, 0, place, 16);
        assert_eq!(status(answer), S::SEC_E_OK);
        let answer = e::QueryContextAttributesW(&raw mut context, 0, null_mut());
        assert_eq!(status(answer), S::SEC_E_INVALID_PARAMETER);
        let askew = place.wrapping_byte_add(1);
        let answer = e::QueryContextAttributesW(&raw mut context, 0, askew);
        assert_eq!(status(answer), S::SEC_E_INVALID_PARAMETER);
        let answer = e::QueryContextAttributesW(&raw mut context, 1001, place);
        assert_eq!(status(answer), S::SEC_E_UNSUPPORTED_FUNCTION);
        let answer = e::SetContextAttributesA(&raw mut context, 1003, place, 16);
        assert_eq!(status(answer), S::SEC_E_UNSUPPORTED_FUNCTION);
    }
    assert_eq!(sizes[0], 48_000);
}

#[test]
fn a_wrong_password_leaves_no_context_behind() {
    let live = || WORLD.packages.kerberos().live().1;
    let credential = client("Kerberos", "wrong").unwrap();
    let mut side = Side::new(credential, true);
    // Other tests make contexts meanwhile, and fewer than this one would leave behind.
    let before = live();
    for _ in 0..64 {
        let (answer, made) = side.step(None);
        assert_eq!(answer, S::SEC_E_LOGON_DENIED);
        assert!(made.is_empty() && side.context.is_none());
    }
    assert!(live() < before + 50, "{} {before}", live());
    // SAFETY: the text is the library's.
    let told = unsafe { text::<Narrow>(e::TrihoundLastError(), "it") };
    let told = told.unwrap().unwrap();
    assert!(
        told.starts_with("InitializeSecurityContextW: SEC_E_LOGON_DENIED"),
        "{told}"
    );
    assert_eq!(free(side.credential), S::SEC_E_OK);
    assert_eq!(free(side.credential), S::SEC_E_INVALID_HANDLE);
    let (answer, _) = side.step(None);
    assert_eq!(answer, S::SEC_E_INVALID_HANDLE);
}

#[test]
fn an_empty_first_buffer_is_as_good_as_none() {
    let mut side = Side::new(client("Kerberos", "password").unwrap(), true);
    side.flags &= !ALLOCATE;
    let mut memory = vec![0u8; 48_000];
    let mut output = [token(&mut memory)];
    assert_eq!(
        side.call(None, &mut output, false),
        S::SEC_I_CONTINUE_NEEDED
    );
    let length = output[0].cbBuffer;
    assert!(length > 100 && length < 48_000, "{length}");
    assert_eq!(memory[0], 0x60);
}

#[test]
fn a_buffer_that_is_too_small_is_told_and_nothing_else() {
    let mut side = Side::new(client("Kerberos", "password").unwrap(), true);
    side.flags &= !ALLOCATE;
    let mut memory = vec![0u8; 10];
    let mut output = [token(&mut memory)];
    assert_eq!(
        side.call(None, &mut output, true),
        S::SEC_E_BUFFER_TOO_SMALL
    );
    assert_eq!(output[0].cbBuffer, 10);
    assert!(side.context.is_none());
}

#[test]
fn bits_and_numbers_that_nobody_knows_are_answered() {
    let mut side = Side::new(client("NTLM", "password").unwrap(), true);
    side.flags = !0x4_0000;
    let (answer, _) = side.step(None);
    assert!(answer.is_success() || !answer.is_success());
    assert_eq!(
        acquire("Kerberos", u32::MAX, null_mut()).map(free),
        Ok(S::SEC_E_OK)
    );
    assert_eq!(
        acquire("Digest", 1, null_mut()),
        Err(S::SEC_E_SECPKG_NOT_FOUND)
    );
}
