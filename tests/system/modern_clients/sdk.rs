//! A client of the Rust SDK in the mode of 2026-07-28.

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{CallToolRequestParams, ClientConfig, ProtocolVersion},
    service::RunningService,
    transport::StreamableHttpClientTransport,
};
use serde_json::json;

use crate::support::Proxy;

async fn client_of(proxy: &Proxy) -> RunningService<RoleClient, ClientConfig> {
    let transport = StreamableHttpClientTransport::from_uri(proxy.url("/mcp"));
    let lifecycle = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    ClientConfig::default().serve_with_lifecycle(transport, lifecycle).await.expect("the server is discovered")
}

#[tokio::test]
async fn rmcp_discovers_lists_and_calls() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let client = client_of(&proxy).await;
    let tools = client.list_all_tools().await.expect("tools");
    assert!(tools.iter().any(|tool| tool.name == "b__echo"), "{tools:?}");
    let arguments = json!({"text": "from rmcp"}).as_object().cloned().expect("an object");
    let call = CallToolRequestParams::new("b__echo").with_arguments(arguments);
    let result = client.call_tool(call).await.expect("a result");
    assert!(format!("{result:?}").contains("from rmcp"), "{result:?}");
    assert!(!client.list_all_resources().await.expect("resources").is_empty());
    client.cancel().await.expect("it leaves");
}
