//! Event streams of servers that are reached over the network.

use mcproxy_http::{SseItem, SseParser};

use crate::split_choice;

/// The events are the same however the stream is cut, and none is over the limit.
pub(crate) fn target(data: &[u8]) {
    let (choice, stream) = split_choice(data);
    let (max, cut) = (16 + usize::from(choice) * 4, 1 + usize::from(choice % 7));
    let parse = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let (mut parser, mut items) = (SseParser::new(max, 8), Vec::new());
        for chunk in chunks {
            parser.push(chunk, &mut items);
            assert!(parser.held() <= max);
        }
        items
    };
    let whole = parse(&mut std::iter::once(stream));
    for item in &whole {
        match item {
            SseItem::Event(event) => assert!(!event.data.is_empty() && event.data.len() <= max),
            SseItem::TooLong { head, tail, .. } => assert!(head.len() <= 8 && tail.len() <= 8),
        }
    }
    // What is over the limit is measured as it arrives.
    if !whole.iter().any(|item| matches!(item, SseItem::TooLong { .. })) {
        assert_eq!(parse(&mut stream.chunks(cut)), whole);
    }
}
