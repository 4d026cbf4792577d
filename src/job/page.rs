//! stub
pub fn members_page() -> String {
    String::new()
}
