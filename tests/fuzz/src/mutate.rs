//! Edits that an input prescribes, of bytes and of DER trees.
//!
//! A DER tree keeps the lengths right above an edit, so that a changed field deep inside still
//! reaches the code that looks at fields; edits of bytes do for the decoder itself.

use crate::input::Input;

/// Edits for one message at most.
const MAX_EDITS: u8 = 8;
/// Values within each other that are taken apart.
const MAX_DEPTH: usize = 40;
/// Numbers at the edges of what protocols and machines hold.
const EDGES: [i64; 16] = [
    0,
    1,
    2,
    3,
    5,
    -1,
    127,
    128,
    255,
    65_535,
    999_999,
    1_000_000,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    i64::MAX,
];

/// `original` with the edits that `input` asks for; none when its next byte is zero.
pub fn mutate(original: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..input.byte() % (MAX_EDITS + 1) {
        bytes = edit(bytes, input);
    }
    bytes
}

fn edit(mut bytes: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let operation = input.byte() % 16;
    let place = input.number();
    let at = place % (bytes.len() + 1);
    match operation {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = input.byte();
            }
        }
        1 => {
            let bit = input.byte() % 8;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        2 => bytes.truncate(at),
        3 => {
            bytes.splice(at..at, input.chunk().iter().copied());
        }
        4 => {
            let end = (at + usize::from(input.byte())).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => bytes.extend_from_slice(input.chunk()),
        6 => {
            let end = (at + usize::from(input.byte())).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => return edit_tree(bytes, operation, place, input),
    }
    bytes
}

fn edit_tree(bytes: Vec<u8>, operation: u8, place: usize, input: &mut Input<'_>) -> Vec<u8> {
    let Some(mut root) = Node::parse_all(&bytes, MAX_DEPTH) else {
        return bytes;
    };
    let count = root.count();
    let mut at = place % count;
    let parent_edit = |root: &mut Node, at: usize, change: &dyn Fn(&mut Vec<Node>, usize)| {
        let mut at = at;
        root.edit_in_parent(&mut at, change);
    };
    match operation {
        7 => {
            let chunk = input.chunk().to_vec();
            root.edit(&mut at, &mut |node| {
                node.contents = Contents::Bytes(chunk.clone())
            });
        }
        8 | 9 => {
            let value = EDGES[usize::from(input.byte()) % EDGES.len()];
            root.edit(&mut at, &mut |node| {
                node.contents = Contents::Bytes(integer(value));
            });
        }
        10 => parent_edit(&mut root, at, &|children, index| {
            children.remove(index);
        }),
        11 => parent_edit(&mut root, at, &|children, index| {
            children.insert(index, children[index].clone());
        }),
        12 => {
            let tag = input.byte();
            root.edit(&mut at, &mut |node| node.tag = tag);
        }
        13 => {
            let mut from = input.number() % count;
            let mut copy = None;
            root.edit(&mut from, &mut |node| copy = Some(node.clone()));
            root.edit(&mut at, &mut |node| {
                if let Some(copy) = &copy {
                    *node = copy.clone();
                }
            });
        }
        14 => {
            let length = input.number() % 3000;
            let byte = input.byte();
            root.edit(&mut at, &mut |node| {
                node.contents = Contents::Bytes(vec![byte; length]);
            });
        }
        _ => {
            let inner = *input;
            let mut used = inner;
            root.edit(&mut at, &mut |node| {
                if let Contents::Bytes(bytes) = &mut node.contents {
                    used = inner;
                    let index = usize::from(used.byte());
                    let value = used.byte();
                    let length = bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(index % length) {
                        *byte = value;
                    }
                }
            });
            *input = used;
        }
    }
    root.encode()
}

/// The contents of a DER INTEGER.
fn integer(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let skip = (0..7)
        .take_while(|&at| {
            (bytes[at] == 0 && bytes[at + 1] < 0x80) || (bytes[at] == 0xff && bytes[at + 1] >= 0x80)
        })
        .count();
    bytes[skip..].to_vec()
}

#[derive(Clone)]
struct Node {
    tag: u8,
    contents: Contents,
}

#[derive(Clone)]
enum Contents {
    Bytes(Vec<u8>),
    Nodes(Vec<Node>),
}

impl Node {
    fn parse_all(bytes: &[u8], depth: usize) -> Option<Self> {
        let (node, rest) = Self::parse(bytes, depth)?;
        rest.is_empty().then_some(node)
    }

    fn parse(bytes: &[u8], depth: usize) -> Option<(Self, &[u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.is_empty() || digits.len() > 3 {
                return None;
            }
            let value = digits
                .iter()
                .fold(0, |value, &d| value << 8 | usize::from(d));
            (value, rest)
        };
        let (inside, rest) = rest.split_at_checked(length)?;
        // An OCTET STRING may hold DER of its own: authorization data, e-data.
        let may_nest = tag & 0x20 != 0 || tag == 0x04;
        let nodes = (may_nest && depth > 0)
            .then(|| Self::parse_many(inside, depth - 1))
            .flatten();
        let contents = match nodes {
            Some(nodes) if !nodes.is_empty() => Contents::Nodes(nodes),
            _ => Contents::Bytes(inside.to_vec()),
        };
        Some((Self { tag, contents }, rest))
    }

    fn parse_many(mut bytes: &[u8], depth: usize) -> Option<Vec<Self>> {
        let mut nodes = Vec::new();
        while !bytes.is_empty() {
            let (node, rest) = Self::parse(bytes, depth)?;
            nodes.push(node);
            bytes = rest;
        }
        Some(nodes)
    }

    fn count(&self) -> usize {
        match &self.contents {
            Contents::Bytes(_) => 1,
            Contents::Nodes(nodes) => 1 + nodes.iter().map(Self::count).sum::<usize>(),
        }
    }

    /// Changes the node of this number, counted from the root down.
    fn edit(&mut self, at: &mut usize, change: &mut dyn FnMut(&mut Self)) -> bool {
        if *at == 0 {
            change(self);
            return true;
        }
        *at -= 1;
        match &mut self.contents {
            Contents::Bytes(_) => false,
            Contents::Nodes(nodes) => nodes.iter_mut().any(|node| node.edit(at, change)),
        }
    }

    /// Changes the list in which the node of this number stands.
    fn edit_in_parent(&mut self, at: &mut usize, change: &dyn Fn(&mut Vec<Self>, usize)) -> bool {
        if *at == 0 {
            return false;
        }
        *at -= 1;
        let Contents::Nodes(nodes) = &mut self.contents else {
            return false;
        };
        for index in 0..nodes.len() {
            if *at == 0 {
                change(nodes, index);
                return true;
            }
            if nodes[index].edit_in_parent(at, change) {
                return true;
            }
        }
        false
    }

    fn encode(&self) -> Vec<u8> {
        let inside = match &self.contents {
            Contents::Bytes(bytes) => bytes.clone(),
            Contents::Nodes(nodes) => nodes.iter().flat_map(Self::encode).collect(),
        };
        let length = inside.len();
        let mut bytes = vec![self.tag];
        match length {
            0..0x80 => bytes.push(length as u8),
            0x80..0x100 => bytes.extend([0x81, length as u8]),
            0x100..0x1_0000 => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
            _ => bytes.extend([
                0x83,
                (length >> 16) as u8,
                (length >> 8) as u8,
                length as u8,
            ]),
        }
        bytes.extend(inside);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &[u8] = &[0x30, 0x08, 0x02, 0x01, 0x05, 0x04, 0x03, 0x02, 0x01, 0x07];

    #[test]
    fn no_edit_leaves_the_message() {
        assert_eq!(mutate(NESTED, &mut Input::new(&[])), NESTED);
    }

    #[test]
    fn lengths_above_an_edit_follow() {
        // One edit: node 3, the INTEGER within the OCTET STRING, becomes 1,000,000.
        let script = [1, 8, 0, 3, 11];
        assert_eq!(
            mutate(NESTED, &mut Input::new(&script)),
            [0x30, 0x0a, 2, 1, 5, 4, 5, 2, 3, 0x0f, 0x42, 0x40]
        );
    }

    #[test]
    fn a_node_goes_and_a_node_doubles() {
        let gone = mutate(NESTED, &mut Input::new(&[1, 10, 0, 1]));
        assert_eq!(gone, [0x30, 5, 4, 3, 2, 1, 7]);
        let twice = mutate(NESTED, &mut Input::new(&[1, 11, 0, 1]));
        assert_eq!(twice[..8], [0x30, 11, 2, 1, 5, 2, 1, 5]);
    }
}
