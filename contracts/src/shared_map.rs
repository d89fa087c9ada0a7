//! Owns the ordered map whose copies share structure: a state is copied for every proposed block.

use borsh::{BorshDeserialize, BorshSerialize};

/// An ordered map with cheap copies and one canonical encoding (that of `BTreeMap`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMap<K: Ord, V>(imbl::OrdMap<K, V>);

impl<K: Ord, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self(imbl::OrdMap::new())
    }
}

impl<K: Ord, V> std::ops::Deref for SharedMap<K, V> {
    type Target = imbl::OrdMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord, V> std::ops::DerefMut for SharedMap<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<K: Ord + BorshSerialize, V: BorshSerialize> BorshSerialize for SharedMap<K, V> {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        let len = u32::try_from(self.0.len()).map_err(|_| borsh::io::ErrorKind::InvalidData)?;
        len.serialize(writer)?;
        self.0.iter().try_for_each(|(key, value)| {
            key.serialize(writer)?;
            value.serialize(writer)
        })
    }
}

impl<K: Ord + Clone + BorshDeserialize, V: Clone + BorshDeserialize> BorshDeserialize for SharedMap<K, V> {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let map = std::collections::BTreeMap::<K, V>::deserialize_reader(reader)?;
        Ok(map.into_iter().collect())
    }
}
