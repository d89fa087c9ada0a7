//! Owns what the switch knows of a frame: whom it is for, and where its contents are.

/// Length of an Ethernet header.
const ETHERNET_LEN: usize = 14;
/// Protocols of IPv4.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The node that a frame is for: the last byte of its destination. Frames for everybody are for nobody here, since
/// neighbours are known.
#[must_use]
pub(super) fn destination(frame: &[u8]) -> Option<usize> {
    let address: &[u8; 6] = frame.first_chunk()?;
    matches!(address, [2, 0, 0, 0, 0, _]).then(|| usize::from(address[5]))
}

/// Swaps two different 16-bit words of what the frame carries. The checksums of IPv4, UDP and TCP are sums of such words,
/// so that only what the sender itself put in can tell. Yields whether anything was changed.
pub(super) fn corrupt(frame: &mut [u8], place: u32) -> bool {
    let Some(words) = contents(frame).map(<[u8]>::as_chunks_mut::<2>).map(|(words, _)| words) else {
        return false;
    };
    let Some(first) = (place as usize).checked_rem(words.len()) else { return false };
    let other = words.iter().position(|word| *word != words[first]);
    other.inspect(|other| words.swap(first, *other)).is_some()
}

/// What a frame of UDP or TCP over IPv4 carries.
fn contents(frame: &mut [u8]) -> Option<&mut [u8]> {
    let packet = frame.get_mut(ETHERNET_LEN..)?;
    let internet_len = usize::from(packet.first()? & 0x0f) * 4;
    let protocol = *packet.get(9)?;
    let segment = packet.get_mut(internet_len..)?;
    let header_len = match protocol {
        UDP => 8,
        TCP => usize::from(segment.get(12)? >> 4) * 4,
        _ => return None,
    };
    segment.get_mut(header_len..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(contents: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 1, 8, 0];
        let mut internet = [0_u8; 20];
        (internet[0], internet[9]) = (0x45, UDP);
        frame.extend(internet);
        frame.extend([0; 8]);
        frame.extend(contents);
        frame
    }

    fn sum(frame: &[u8]) -> u32 {
        let words = frame.as_chunks::<2>().0.iter();
        words.map(|word| u32::from(u16::from_be_bytes(*word))).sum::<u32>() % 0xffff
    }

    #[test]
    fn a_frame_names_its_node_and_one_for_all_names_nobody() {
        assert_eq!(destination(&datagram(b"")), Some(3));
        assert_eq!(destination(&[0xff; 60]), None);
        assert_eq!(destination(&[2, 0]), None);
    }

    #[test]
    fn a_corrupted_frame_differs_and_keeps_its_checksum() {
        let sound = datagram(b"abcdefgh");
        for place in 0..9 {
            let mut frame = sound.clone();
            assert!(corrupt(&mut frame, place));
            assert_ne!(frame, sound);
            assert_eq!((frame.len(), sum(&frame)), (sound.len(), sum(&sound)));
            assert_eq!(frame[..42], sound[..42], "headers stay");
        }
    }

    #[test]
    fn what_cannot_be_corrupted_stays_as_it_is() {
        for mut frame in [datagram(b""), datagram(b"aaaaaaaa"), vec![2; 20], vec![], vec![0xff; 34]] {
            let before = frame.clone();
            assert!(!corrupt(&mut frame, 5));
            assert_eq!(frame, before);
        }
    }
}
