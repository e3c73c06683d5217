//! Consumer groups.

use crate::support::assert_same;

#[tokio::test]
async fn groups_are_made_as_on_the_server() {
    assert_same(&[
        "XGROUP CREATE {make}:x g 0",
        "XGROUP CREATE {make}:x g 0 MKSTREAM",
        "XGROUP CREATE {make}:x g 0 MKSTREAM",
        "XGROUP CREATE {make}:x g2 $",
        "XGROUP CREATE {make}:x g3 word",
        "XLEN {make}:x",
        "XINFO GROUPS {make}:x",
        "XINFO GROUPS {make}:none",
        "XADD {make}:x 1-1 a 1",
        "XGROUP CREATE {make}:x g4 $",
        "XGROUP CREATE {make}:x g5 1-1",
        "XINFO GROUPS {make}:x",
        "XGROUP DESTROY {make}:x g4",
        "XGROUP DESTROY {make}:x none",
        "XINFO GROUPS {make}:x",
        "UNLINK {make}:x",
        "XREADGROUP GROUP g c STREAMS {make}:x >",
    ])
    .await;
}

#[tokio::test]
async fn a_group_reads_and_acknowledges_as_on_the_server() {
    assert_same(&[
        "XREADGROUP GROUP g c STREAMS {group}:x >",
        "XPENDING {group}:x g",
        "XACK {group}:x g 1-1",
        "XAUTOCLAIM {group}:x g c 0 0-0",
        "XGROUP CREATE {group}:x g 0 MKSTREAM",
        "XREADGROUP GROUP none c STREAMS {group}:x >",
        "XREADGROUP GROUP g c STREAMS {group}:x >",
        "XINFO GROUPS {group}:x",
        "XADD {group}:x 1-1 a 1",
        "XADD {group}:x 2-1 a 2",
        "XADD {group}:x 3-1 a 3",
        "XADD {group}:x 4-1 a 4",
        "XINFO GROUPS {group}:x",
        "XREADGROUP GROUP g c COUNT 2 STREAMS {group}:x >",
        "XINFO GROUPS {group}:x",
        "XPENDING {group}:x g",
        "XREADGROUP GROUP g d COUNT 1 STREAMS {group}:x >",
        "XPENDING {group}:x g",
        "XREADGROUP GROUP g c STREAMS {group}:x 0",
        "XREADGROUP GROUP g d STREAMS {group}:x 0",
        "XREADGROUP GROUP g e STREAMS {group}:x 0",
        "XREADGROUP GROUP g c STREAMS {group}:x 1-1",
        "XACK {group}:x g 1-1 9-9",
        "XACK {group}:x none 2-1",
        "XPENDING {group}:x g",
        "XINFO GROUPS {group}:x",
        "XREADGROUP GROUP g c STREAMS {group}:x >",
        "XREADGROUP GROUP g c STREAMS {group}:x >",
        "XREADGROUP GROUP g c BLOCK 5 STREAMS {group}:x >",
        "XINFO GROUPS {group}:x",
        "XACK {group}:x g 2-1 3-1 4-1",
        "XPENDING {group}:x g",
        "XADD {group}:x 5-1 a 5",
        "XREADGROUP GROUP g c NOACK STREAMS {group}:x >",
        "XPENDING {group}:x g",
        "XINFO GROUPS {group}:x",
        "XREADGROUP COUNT 1 STREAMS {group}:x >",
    ])
    .await;
}

#[tokio::test]
async fn deleted_entries_are_as_on_the_server() {
    assert_same(&[
        "XGROUP CREATE {gap}:x g 0 MKSTREAM",
        "XADD {gap}:x 1-1 a 1",
        "XADD {gap}:x 2-1 a 2",
        "XADD {gap}:x 3-1 a 3",
        "XADD {gap}:x 4-1 a 4",
        "XREADGROUP GROUP g c COUNT 1 STREAMS {gap}:x >",
        "XDEL {gap}:x 3-1",
        "XINFO GROUPS {gap}:x",
        "XREADGROUP GROUP g c COUNT 1 STREAMS {gap}:x >",
        "XINFO GROUPS {gap}:x",
        "XDEL {gap}:x 1-1",
        "XREADGROUP GROUP g c STREAMS {gap}:x 0",
        "XINFO GROUPS {gap}:x",
        "XREADGROUP GROUP g c STREAMS {gap}:x >",
        "XINFO GROUPS {gap}:x",
        "XTRIM {gap}:x MINID 4",
        "XINFO GROUPS {gap}:x",
        "XPENDING {gap}:x g",
        "XGROUP CREATE {gap}:x late 0",
        "XINFO GROUPS {gap}:x",
        "XDEL {gap}:x 4-1",
        "XINFO GROUPS {gap}:x",
        "XADD {gap}:x 5-1 a 5",
        "XINFO GROUPS {gap}:x",
        "XREADGROUP GROUP late c STREAMS {gap}:x >",
        "XINFO GROUPS {gap}:x",
        // The entry that was delivered last is the one that is deleted.
        "XGROUP CREATE {gap}:y g 0 MKSTREAM",
        "XADD {gap}:y 1-1 a 1",
        "XADD {gap}:y 2-1 a 2",
        "XADD {gap}:y 3-1 a 3",
        "XREADGROUP GROUP g c COUNT 2 STREAMS {gap}:y >",
        "XINFO GROUPS {gap}:y",
        "XDEL {gap}:y 2-1",
        "XINFO GROUPS {gap}:y",
    ])
    .await;
}

#[tokio::test]
async fn idle_entries_are_claimed_as_on_the_server() {
    assert_same(&[
        "XGROUP CREATE {claim}:x g 0 MKSTREAM",
        "XADD {claim}:x 1-1 a 1",
        "XADD {claim}:x 2-1 a 2",
        "XADD {claim}:x 3-1 a 3",
        "XADD {claim}:x 4-1 a 4",
        "XREADGROUP GROUP g c STREAMS {claim}:x >",
        "XAUTOCLAIM {claim}:x g d 60000 0-0",
        "XINFO GROUPS {claim}:x",
        "XAUTOCLAIM {claim}:x g d 0 0-0 COUNT 1",
        "XAUTOCLAIM {claim}:x g d 0 2-1 COUNT 1",
        "XPENDING {claim}:x g",
        "XDEL {claim}:x 2-1 3-1",
        "XAUTOCLAIM {claim}:x g d 60000 0-0 COUNT 2",
        "XPENDING {claim}:x g",
        "XAUTOCLAIM {claim}:x g e 0 0-0 COUNT 10",
        "XAUTOCLAIM {claim}:x g e 0 5 COUNT 10",
        "XAUTOCLAIM {claim}:x g e 0 0-0 COUNT 0",
        "XAUTOCLAIM {claim}:x none e 0 0-0",
        "XAUTOCLAIM {claim}:x g e word 0-0",
        "XPENDING {claim}:x g",
        "XINFO GROUPS {claim}:x",
    ])
    .await;
}
