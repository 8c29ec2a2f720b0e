//! What is answered without a context, and what is done beside one.

use super::*;

#[test]
fn null_where_something_is_needed_is_answered() {
    LazyLock::force(&WORLD);
    // SAFETY: NULL throughout, which each function answers.
    unsafe {
        for answer in [
            e::EnumerateSecurityPackagesA(null_mut(), null_mut()),
            e::AcquireCredentialsHandleW(
                null_mut(),
                null_mut(),
                1,
                null_mut(),
                null_mut(),
                None,
                null_mut(),
                null_mut(),
                null_mut(),
            ),
            e::SspiEncodeStringsAsAuthIdentity(null(), null(), null(), null_mut()),
            e::SspiValidateAuthIdentity(null_mut()),
        ] {
            assert_eq!(status(answer), S::SEC_E_INVALID_PARAMETER);
        }
        for answer in [
            e::DeleteSecurityContext(null_mut()),
            e::FreeCredentialsHandle(null_mut()),
            e::FreeContextBuffer(null_mut()),
            e::EncryptMessage(null_mut(), 0, null_mut(), 0),
            e::AcceptSecurityContext(
                null_mut(),
                null_mut(),
                null_mut(),
                0,
                0,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
            ),
        ] {
            assert_eq!(status(answer), S::SEC_E_INVALID_HANDLE);
        }
    }
}

#[test]
fn the_tables_have_every_function_that_real_clients_call_without_looking() {
    LazyLock::force(&WORLD);
    // SAFETY: the tables are the library's.
    let (narrow, wide) = unsafe {
        (
            e::InitSecurityInterfaceA().read(),
            e::InitSecurityInterfaceW().read(),
        )
    };
    assert_eq!((narrow.dwVersion, wide.dwVersion), (5, 5));
    assert!(narrow.SetContextAttributesA.is_some() && wide.SetContextAttributesW.is_some());
    assert!(narrow.ImpersonateSecurityContext.is_some());
    assert!(narrow.QueryCredentialsAttributesExA.is_some());
    assert!(narrow.Reserved2.is_null() && wide.Reserved8.is_null());
}

#[test]
fn packages_are_told_in_both_kinds_of_text() {
    LazyLock::force(&WORLD);
    let (mut count, mut packages) = (0, null_mut::<c::SecPkgInfoW>());
    let mut name = chars("kerberos");
    let mut one = null_mut::<c::SecPkgInfoA>();
    // SAFETY: the places live until the calls return; what was given out is read within its bounds.
    unsafe {
        let answer = e::EnumerateSecurityPackagesW(&raw mut count, &raw mut packages);
        assert_eq!(status(answer), S::SEC_E_OK);
        let names: Vec<_> = (0..count as usize)
            .map(|at| {
                text::<Wide>((*packages.add(at)).Name, "it")
                    .unwrap()
                    .unwrap()
            })
            .collect();
        assert!(names.contains(&"Kerberos".to_owned()), "{names:?}");
        assert_eq!(status(e::FreeContextBuffer(packages.cast())), S::SEC_E_OK);
        let answer = e::QuerySecurityPackageInfoA(name.as_mut_ptr(), &raw mut one);
        assert_eq!(status(answer), S::SEC_E_OK);
        assert_eq!(
            text::<Narrow>((*one).Name, "it").unwrap().unwrap(),
            "Kerberos"
        );
        assert_eq!(status(e::FreeContextBuffer(one.cast())), S::SEC_E_OK);
    }
}

#[test]
fn identities_in_one_piece_log_in_also_when_they_are_encrypted() {
    let (user, domain) = (words("alice"), words("EXAMPLE.TEST"));
    let password = words("password");
    let mut identity: *mut c_void = null_mut();
    let mut copy: *mut c_void = null_mut();
    let (mut same_user, mut same) = (9, 9);
    // SAFETY: the texts and places live until the calls return; identities are freed once.
    unsafe {
        let answer = e::SspiEncodeStringsAsAuthIdentity(
            user.as_ptr(),
            domain.as_ptr(),
            password.as_ptr(),
            &raw mut identity,
        );
        assert_eq!(status(answer), S::SEC_E_OK);
        assert_eq!(
            status(e::SspiCopyAuthIdentity(identity, &raw mut copy)),
            S::SEC_E_OK
        );
        assert_eq!(status(e::SspiEncryptAuthIdentity(copy)), S::SEC_E_OK);
        assert_eq!(
            status(e::SspiEncryptAuthIdentity(copy)),
            S::SEC_E_INVALID_PARAMETER
        );
        assert_eq!(e::SspiIsAuthIdentityEncrypted(copy), 1);
        assert_eq!(e::SspiIsAuthIdentityEncrypted(identity), 0);
        let answer =
            e::SspiCompareAuthIdentities(identity, copy, &raw mut same_user, &raw mut same);
        assert_eq!((status(answer), same_user, same), (S::SEC_E_OK, 1, 1));
        for identity in [identity, copy] {
            let credential = acquire("Kerberos", 2, identity).unwrap();
            let (answer, made) = Side::new(credential, true).step(None);
            assert_eq!((answer, made.is_empty()), (S::SEC_I_CONTINUE_NEEDED, false));
            assert_eq!(free(credential), S::SEC_E_OK);
        }
        assert_eq!(status(e::SspiDecryptAuthIdentity(copy)), S::SEC_E_OK);
        e::SspiZeroAuthIdentity(copy);
        let answer =
            e::SspiCompareAuthIdentities(identity, copy, &raw mut same_user, &raw mut same);
        assert_eq!((status(answer), same_user, same), (S::SEC_E_OK, 1, 0));
        e::SspiFreeAuthIdentity(identity);
        e::SspiFreeAuthIdentity(copy);
        assert!(memory::number_of(identity).is_none() && memory::number_of(copy).is_none());
    }
}

/// A piece of another kind, and an identity whose length says too much, are known for what they are.
#[test]
fn no_identity_is_read_beyond_its_piece() {
    let (user, password) = (words("alice"), words("password"));
    let mut identity: *mut c_void = null_mut();
    // SAFETY: the texts and places live until the calls return; pieces are written within, and freed once.
    unsafe {
        let answer = e::SspiEncodeStringsAsAuthIdentity(
            user.as_ptr(),
            null(),
            password.as_ptr(),
            &raw mut identity,
        );
        assert_eq!(status(answer), S::SEC_E_OK);
        let size = u32::try_from(memory::size_of_piece(identity).unwrap()).unwrap();
        let length = identity.cast::<u32>().add(2);
        let was = length.read();
        length.write(size + 1);
        let mut copy: *mut c_void = null_mut();
        for answer in [
            e::SspiValidateAuthIdentity(identity),
            e::SspiCopyAuthIdentity(identity, &raw mut copy),
            e::SspiEncryptAuthIdentity(identity),
        ] {
            assert_eq!(status(answer), S::SEC_E_INVALID_PARAMETER);
        }
        length.write(was);
        assert_eq!(status(e::SspiValidateAuthIdentity(identity)), S::SEC_E_OK);
        e::SspiFreeAuthIdentity(identity);
        // Its third number would be a length.
        let mut other = [0u8; 64];
        other[8] = 64;
        let other: *mut c_void = memory::bytes(&other);
        for answer in [
            e::SspiCopyAuthIdentity(other, &raw mut copy),
            e::SspiEncryptAuthIdentity(other),
        ] {
            assert_eq!(status(answer), S::SEC_E_INVALID_PARAMETER);
        }
        assert_eq!(e::SspiIsAuthIdentityEncrypted(other), 0);
        e::SspiZeroAuthIdentity(other);
        e::SspiLocalFree(other);
        assert!(copy.is_null());
    }
}

#[test]
fn a_context_moves_by_bytes_and_goes_on() {
    let (client, service) = established("Kerberos");
    let mut packed = c::SecBuffer {
        cbBuffer: 0,
        BufferType: 0,
        pvBuffer: null_mut(),
    };
    let mut package = words("Kerberos");
    let mut context = service.context();
    let mut imported = NO_HANDLE;
    // SAFETY: everything lives until the calls return.
    unsafe {
        let answer = e::ExportSecurityContext(&raw mut context, 2, &raw mut packed, null_mut());
        assert_eq!(status(answer), S::SEC_E_OK);
        let answer = e::ImportSecurityContextW(
            package.as_mut_ptr(),
            &raw mut packed,
            null_mut(),
            &raw mut imported,
        );
        assert_eq!(status(answer), S::SEC_E_OK);
        assert_eq!(status(e::FreeContextBuffer(packed.pvBuffer)), S::SEC_E_OK);
    }
    let signature = sign(client.context(), b"after the move");
    assert_eq!(verify(imported, b"after the move", &signature), S::SEC_E_OK);
    assert_eq!(
        verify(service.context(), b"", &signature),
        S::SEC_E_INVALID_HANDLE
    );
}
