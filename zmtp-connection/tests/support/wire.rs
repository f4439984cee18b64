//! A peer written by hand: greetings, commands and frames as octets, independent of the codec that is tested.

/// A greeting of ZMTP 3.1 under NULL.
pub(crate) const GREETING: [u8; 64] = greeting("NULL");
/// A greeting of ZMTP 3.0 under NULL, as of libzmq 4.0 to 4.3.2.
pub(crate) const GREETING_3_0: [u8; 64] = with(GREETING, 11, 0);

/// A greeting of ZMTP 3.1 under the mechanism of that name.
pub(crate) const fn greeting(mechanism: &str) -> [u8; 64] {
    let mut octets = with(with(with([0; 64], 0, 0xff), 9, 0x7f), 10, 3);
    octets[11] = 1;
    let mut at = 0;
    while at < mechanism.len() {
        octets[12 + at] = mechanism.as_bytes()[at];
        at += 1;
    }
    octets
}

/// A greeting with one octet changed.
pub(crate) const fn with(mut greeting: [u8; 64], offset: usize, octet: u8) -> [u8; 64] {
    greeting[offset] = octet;
    greeting
}

/// A frame with these flags; its header is long if they say so.
pub(crate) fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = header(flags, body.len() as u64);
    octets.extend_from_slice(body);
    octets
}

/// A frame header with these flags, for a body of `size` octets.
pub(crate) fn header(flags: u8, size: u64) -> Vec<u8> {
    let mut octets = vec![flags];
    if flags & 2 != 0 {
        octets.extend_from_slice(&size.to_be_bytes());
    } else {
        octets.push(u8::try_from(size).unwrap());
    }
    octets
}

/// A message frame in its shortest form.
pub(crate) fn part(more: bool, body: &[u8]) -> Vec<u8> {
    let long = if body.len() > 255 { 2 } else { 0 };
    frame(long | u8::from(more), body)
}

/// A whole message.
pub(crate) fn message<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    let last = parts.len() - 1;
    parts.iter().enumerate().flat_map(|(at, body)| part(at < last, body.as_ref())).collect()
}

/// A command frame in its shortest form.
pub(crate) fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let body = command_body(name, data);
    frame(if body.len() > 255 { 6 } else { 4 }, &body)
}

/// The body of a command.
pub(crate) fn command_body(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).unwrap()];
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    body
}

/// A PING.
pub(crate) fn ping(ttl: u16, context: &[u8]) -> Vec<u8> {
    command("PING", &[&ttl.to_be_bytes(), context].concat())
}

/// An ERROR.
pub(crate) fn error(reason: &str) -> Vec<u8> {
    command("ERROR", &[&[u8::try_from(reason.len()).unwrap()], reason.as_bytes()].concat())
}

/// One property.
pub(crate) fn property(name: &str, value: &[u8]) -> Vec<u8> {
    let mut octets = vec![u8::try_from(name.len()).unwrap()];
    octets.extend_from_slice(name.as_bytes());
    octets.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    octets.extend_from_slice(value);
    octets
}

/// A READY with nothing but a Socket-Type.
pub(crate) fn ready(socket_type: &str) -> Vec<u8> {
    command("READY", &property("Socket-Type", socket_type.as_bytes()))
}

/// A READY with a Socket-Type and this behind it.
pub(crate) fn ready_and(socket_type: &str, more: &[u8]) -> Vec<u8> {
    command("READY", &[property("Socket-Type", socket_type.as_bytes()), more.to_vec()].concat())
}
