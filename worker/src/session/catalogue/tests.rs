//! The promises of the catalogue.

use super::{super::tests, *};

fn limits() -> ServerLimits {
    ServerLimits { line_bytes: 1000, tools: 5, catalogue_bytes: 1000, ..tests::spec().limits }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

fn gather(catalogue: &Catalogue) -> Gathering {
    Gathering::new(ListKind::Tools, catalogue, &limits())
}

#[test]
fn entries_come_out_as_the_server_wrote_them() {
    let mut catalogue = Catalogue::default();
    catalogue.set_identity("{\"name\":\"x\"}", "{}", Some("\"hello\""));
    let mut list = gather(&catalogue);
    let first = raw(r#"{"tools":[{"name":"a", "n":12345678901234567890123}],"nextCursor":"2"}"#);
    assert_eq!(list.page(&first), AfterPage::Page("\"2\"".into()));
    let useless = r#"{"name":"t","execution":{"taskSupport":"required"}}"#;
    let second = raw(&format!(r#"{{"tools":[{useless},{{"name":"b"}}]}}"#));
    assert_eq!(list.page(&second), AfterPage::Complete);
    assert!(catalogue.replace(list));
    assert_eq!(catalogue.counts().tools, 3);
    assert!(catalogue.only_tasks().is_empty(), "the server runs no tasks");
    let json = catalogue.to_json();
    let expected = r#"{"serverInfo":{"name":"x"},"instructions":"hello","capabilities":{},"tools":[{"name":"a", "n":12345678901234567890123},{"name":"t","execution":{"taskSupport":"required"}},{"name":"b"}],"prompts":[],"resources":[],"resourceTemplates":[]}"#;
    assert_eq!(String::from_utf8_lossy(&json), expected);
}

#[test]
fn the_same_list_again_is_no_change() {
    let mut catalogue = Catalogue::default();
    for changed in [true, false] {
        let mut list = gather(&catalogue);
        list.page(&raw(r#"{"tools":[{"name":"a"}]}"#));
        assert_eq!(catalogue.replace(list), changed);
    }
}

#[test]
fn the_strictest_page_says_how_long_a_list_is_true() {
    let mut catalogue = Catalogue::default();
    let mut list = gather(&catalogue);
    list.page(&raw(r#"{"tools":[],"nextCursor":"2","ttlMs":9000,"cacheScope":"public"}"#));
    list.page(&raw(r#"{"tools":[],"ttlMs":5000,"cacheScope":"private"}"#));
    catalogue.replace(list);
    let json = String::from_utf8(catalogue.to_json().to_vec()).expect("text");
    assert!(json.ends_with(r#","caching":{"tools":{"ttlMs":5000,"cacheScope":"private"}}}"#), "{json}");
}

#[test]
fn endless_and_circular_lists_end() {
    let catalogue = Catalogue::default();
    let mut list = gather(&catalogue);
    let mut pages = 1;
    while let AfterPage::Page(_) = list.page(&raw(&format!(r#"{{"tools":[],"nextCursor":"{pages}"}}"#))) {
        pages += 1;
    }
    assert_eq!(pages, limits().pages);
    let mut list = gather(&catalogue);
    let page = raw(r#"{"tools":[],"nextCursor":""}"#);
    assert_eq!(list.page(&page), AfterPage::Page("\"\"".into()));
    assert_eq!(list.page(&page), AfterPage::Cut("a cursor came twice"));
}

#[test]
fn a_page_that_comes_twice_is_counted_once() {
    let catalogue = Catalogue::default();
    for cursor in ["", "again"] {
        let mut list = gather(&catalogue);
        let page = raw(&format!(r#"{{"tools":[{{"name":"a"}},{{"name":"b"}}],"nextCursor":"{cursor}"}}"#));
        assert!(matches!(list.page(&page), AfterPage::Page(_)), "an empty cursor is one");
        assert_eq!(list.page(&page), AfterPage::Complete, "the server does not look at cursors");
        assert_eq!((list.fresh.count, list.fresh.json.as_slice()), (2, &br#"{"name":"a"},{"name":"b"}"#[..]));
    }
    let mut list = gather(&catalogue);
    for (name, cursor) in [("a", "x"), ("b", "y")] {
        let page = format!(r#"{{"tools":[{{"name":"{name}"}}],"nextCursor":"{cursor}"}}"#);
        assert!(matches!(list.page(&raw(&page)), AfterPage::Page(_)));
    }
    assert_eq!(list.page(&raw(r#"{"tools":[{"name":"a"}],"nextCursor":"x"}"#)), AfterPage::Complete);
    assert_eq!(list.fresh.count, 2, "a ring");
}

#[test]
fn lists_that_were_not_declared_are_declared_for_the_server() {
    for (declared, expected) in [("{}", r#"{"tools":{}}"#), (r#"{"x":1}"#, r#"{"x":1,"tools":{}}"#)] {
        let mut catalogue = Catalogue::default();
        catalogue.set_identity("{}", declared, None);
        catalogue.declares_nothing();
        let mut list = gather(&catalogue);
        list.page(&raw(r#"{"tools":[{"name":"a"}]}"#));
        catalogue.replace(list);
        let json = String::from_utf8(catalogue.to_json().to_vec()).expect("text");
        assert!(json.contains(&format!(r#""capabilities":{expected},"#)), "{json}");
    }
}

#[test]
fn a_cursor_of_any_length_is_not_kept() {
    let catalogue = Catalogue::default();
    let page = raw(&format!(r#"{{"tools":[{{}}],"nextCursor":"{}"}}"#, "x".repeat(1 << 20)));
    let mut list = gather(&catalogue);
    assert_eq!(list.page(&page), AfterPage::Cut("a cursor is too long"));
    assert_eq!((list.fresh.count, list.cursors.len()), (1, 0));
}

#[test]
fn a_list_over_its_limits_is_cut_not_refused() {
    let mut catalogue = Catalogue::default();
    let mut list = gather(&catalogue);
    let page = raw(&format!(r#"{{"tools":[{}]}}"#, ["{}"; 9].join(",")));
    assert_eq!(list.page(&page), AfterPage::Cut("more entries than limits.maxTools"));
    assert!(catalogue.replace(list));
    assert_eq!(catalogue.counts().tools, 5);
    let mut list = gather(&catalogue);
    let page = raw(&format!(r#"{{"tools":[{{"x":"{}"}},{{}}]}}"#, "y".repeat(2000)));
    assert_eq!(list.page(&page), AfterPage::Cut("more bytes than limits.maxCatalogue"));
}
