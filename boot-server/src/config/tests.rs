use super::*;
use protocol::spec::Way;

#[test]
fn a_minimal_file_has_sane_defaults() {
    let config = Config::parse("config.toml", "address = '10.77.0.1'").unwrap();
    assert_eq!(config.https_address().to_string(), "10.77.0.1:8443");
    assert_eq!(config.enrol.admission.ways(), [Way::Token, Way::Approval]);
    assert_eq!(config.server_names(), ["10.77.0.1", "127.0.0.1", "localhost"]);
}

#[test]
fn the_provider_sends_browsers_back_to_the_server_s_first_name_or_where_the_operator_says() {
    let origin = |more: &str| {
        let oidc = "[oidc]\nissuer = 'https://i'\nclient_id = 'c'\ngrants.x = 'view'";
        Config::parse("config.toml", &format!("address = '10.77.0.1'\n{oidc}\n{more}")).map(|it| it.page_origin())
    };
    assert_eq!(origin("").unwrap(), "https://10.77.0.1:8443");
    assert_eq!(origin("[https]\nnames = ['boot.lan', 'x']\nlisten = '0.0.0.0:443'").unwrap(), "https://boot.lan");
    assert_eq!(origin("url = 'https://page.lan/'").unwrap(), "https://page.lan");
    assert!(origin("[https]\nlisten = '0.0.0.0:0'").unwrap_err().cause.contains("oidc.url"));
}

#[test]
fn a_file_of_tpm_vendors_that_has_none_is_refused_with_its_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let with = |pem: &str| {
        std::fs::write(file.path(), pem).unwrap();
        Tpm { roots: vec![file.path().to_owned()], ..Tpm::default() }.issuers()
    };
    let (authority, _) = crate::trust::ca::make::root(protocol::Timestamp::now_utc()).unwrap();
    assert!(with(&authority).is_ok());
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
    for (pem, why) in
        [("", "there is none"), (&leaf, "no certificate of an issuer"), (&format!("{authority}{leaf}"), "")]
    {
        let failure = with(pem).unwrap_err();
        let name = file.path().display().to_string();
        assert!(failure.code == Code::Config && failure.cause.contains(&name), "{failure}");
        assert!(failure.cause.contains(why), "{failure}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_path() {
    let failure = Config::parse("config.toml", "address = '10.77.0.1'\n[enrol]\nadmision = 'x'").unwrap_err();
    assert_eq!(failure.code, Code::Config);
    assert!(failure.cause.contains("enrol") && failure.cause.contains("admision"), "{failure}");
}

#[test]
fn a_wrong_type_is_refused_with_its_path() {
    let failure = Config::parse("config.toml", "address = '10.77.0.1'\n[menu]\ntimeout_seconds = 'x'").unwrap_err();
    assert!(failure.cause.contains("menu.timeout_seconds"), "{failure}");
    for life in ["59s", "399d", "a week"] {
        let text = format!("address = '10.77.0.1'\n[certificates]\nnode_life = '{life}'");
        let failure = Config::parse("config.toml", &text).unwrap_err();
        assert!(failure.cause.contains("certificates.node_life"), "{failure}");
    }
    for address in ["10.77.0.300", "0.0.0.0", "255.255.255.255", "224.0.0.1"] {
        let failure = Config::parse("config.toml", &format!("address = '{address}'")).unwrap_err();
        assert!(failure.cause.contains("address"), "{failure}");
    }
}

#[test]
fn proxies_are_networks_and_addresses() {
    let of = |list: &str| Config::parse("c", &format!("address = '10.77.0.1'\n[https]\ntrusted_proxies = {list}"));
    assert_eq!(of("['10.0.0.0/8', 'fd00::1']").unwrap().https.trusted_proxies.len(), 2);
    let failure = of("['10.0.0.0/8', 'proxy.example']").unwrap_err();
    assert!(failure.cause.contains("https.trusted_proxies[1]"), "{failure}");
}
