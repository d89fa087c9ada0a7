//! Owns the mesh's failpoints: places with a name where a test has the process killed. Refuses to be anything in a build
//! without the feature `failpoints`; they are armed where those of the actors are.

#[cfg(feature = "failpoints")]
pub(crate) fn reach(name: &str) {
    fail::fail_point!(name);
}

#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn reach(_name: &str) {}
