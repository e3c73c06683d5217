#![allow(clippy::unwrap_used, clippy::expect_used)]

use rand::SeedableRng;

use super::*;
use crate::client::answer::Outcome;

fn persona() -> Persona {
    Persona {
        think: Duration::from_millis(10),
        cart_size: 2,
        patience: 2,
        browses: 0.0,
        abandons: 0.0,
        repeats: 0.0,
        returns: 0.0,
        skew: 1.0,
    }
}

fn added() -> Answer {
    Answer::Added {
        code: "CHK-1".into(),
    }
}

fn refused(status: u16, problem: Problem) -> Answer {
    Answer::Refused { status, problem }
}

fn outcome() -> Answer {
    Answer::Outcome(Arc::new(Outcome {
        status: 200,
        bought: vec![1],
        failed: vec![],
    }))
}

/// Plays a fixture: what the user does after each answer, until he leaves.
fn steps_after(persona: &Persona, answers: &[Answer]) -> Vec<Next> {
    let mut rng = SmallRng::seed_from_u64(1);
    let (mut journey, mut done) = (Journey::default(), Intent::SeeSale);
    let mut steps = Vec::new();
    for answer in answers {
        let (after, next) = decide(persona, journey, done, answer, &mut rng);
        journey = after;
        steps.push(next);
        done = match next {
            Next::Leave => break,
            Next::Think(intent) | Next::BackOff(intent) | Next::AtOnce(intent) => intent,
        };
    }
    steps
}

#[test]
fn a_smooth_purchase_browses_fills_the_cart_and_buys() {
    let steps = steps_after(
        &persona(),
        &[Answer::Read, Answer::Read, added(), added(), outcome()],
    );
    assert_eq!(
        steps,
        [
            Next::Think(Intent::Browse),
            Next::Think(Intent::Add),
            Next::Think(Intent::Add),
            Next::Think(Intent::Buy),
            Next::Leave,
        ]
    );
}

#[test]
fn after_an_error_the_same_is_asked_again_until_patience_ends() {
    let away = || refused(503, Problem::Unavailable);
    let steps = steps_after(
        &persona(),
        &[
            Answer::Read,
            Answer::Read,
            Answer::None,
            away(),
            added(),
            added(),
            Answer::None,
            away(),
            away(),
        ],
    );
    assert_eq!(
        steps[2..],
        [
            Next::BackOff(Intent::AddAgain),
            Next::BackOff(Intent::AddAgain),
            Next::Think(Intent::Add),
            Next::Think(Intent::Buy),
            Next::BackOff(Intent::BuyAgain),
            Next::BackOff(Intent::BuyAgain),
            Next::Leave,
        ]
    );
}

#[test]
fn sold_items_are_replaced_until_patience_ends_and_a_cart_is_bought_then() {
    let sold = || refused(409, Problem::AlreadySold);
    let empty_handed = steps_after(
        &persona(),
        &[Answer::Read, Answer::Read, sold(), sold(), sold()],
    );
    assert_eq!(empty_handed.last(), Some(&Next::Leave));
    let with_one = steps_after(
        &persona(),
        &[Answer::Read, Answer::Read, added(), sold(), sold(), sold()],
    );
    assert_eq!(with_one.last(), Some(&Next::Think(Intent::Buy)));
}

#[test]
fn a_full_user_leaves_and_a_full_cart_is_bought() {
    let limit = refused(400, Problem::LimitReached);
    let steps = steps_after(&persona(), &[Answer::Read, Answer::Read, added(), limit]);
    assert_eq!(steps.last(), Some(&Next::Leave));
    let full = refused(400, Problem::CartFull);
    let steps = steps_after(&persona(), &[Answer::Read, Answer::Read, added(), full]);
    assert_eq!(steps.last(), Some(&Next::Think(Intent::Buy)));
}

#[test]
fn an_impatient_finger_presses_buy_twice_but_not_for_ever() {
    let finger = Persona {
        repeats: 1.0,
        ..persona()
    };
    let steps = steps_after(
        &finger,
        &[
            Answer::Read,
            Answer::Read,
            added(),
            added(),
            outcome(),
            outcome(),
        ],
    );
    assert_eq!(steps[4..], [Next::AtOnce(Intent::BuyAgain), Next::Leave]);
}

#[test]
fn who_returns_starts_a_cart_of_his_own() {
    let returning = Persona {
        returns: 1.0,
        ..persona()
    };
    let mut rng = SmallRng::seed_from_u64(1);
    let journey = Journey {
        cart: 2,
        code: Some("CHK-1".into()),
        ..Journey::default()
    };
    let (journey, next) = decide(&returning, journey, Intent::Buy, &outcome(), &mut rng);
    assert_eq!(next, Next::Think(Intent::Add));
    assert_eq!(journey, Journey::default());
}

#[test]
fn a_server_that_asks_to_be_left_alone_is_unless_patience_ends_before() {
    let crowd = Crowd {
        think: Duration::ZERO,
        browses: 0.0,
        abandons: 0.0,
        skew: 1.0,
    };
    let mut state = RunState::new(10, 0, 1);
    let mut user = User::arrive(&crowd, &mut state);
    user.persona.patience = 3;
    assert_eq!(user.next(&mut state, None), Step::Call(Call::ActiveSale));
    let away = refused(503, Problem::Unavailable);
    for (asked_for_s, waits) in [
        (Some(1), Duration::from_secs(1)),
        (Some(3_600), Duration::from_secs(3)),
        // What was asked for once is not asked for ever.
        (None, FIRST_BACKOFF * 4),
    ] {
        if let Some(seconds) = asked_for_s {
            user.asked_to_wait(Duration::from_secs(seconds));
        }
        assert_eq!(user.next(&mut state, Some(&away)), Step::Think(waits));
        assert_eq!(user.next(&mut state, None), Step::Call(Call::ActiveSale));
    }
}

#[test]
fn the_same_seed_and_answers_give_the_same_calls() {
    let crowd = Crowd {
        think: Duration::from_millis(5),
        browses: 0.5,
        abandons: 0.1,
        skew: 2.0,
    };
    let play = || {
        let mut state = RunState::new(1_000, 0, 99);
        let mut user = User::arrive(&crowd, &mut state);
        let mut steps = Vec::new();
        let mut answer = None;
        for _ in 0..200 {
            let step = user.next(&mut state, answer.as_ref());
            answer = match &step {
                Step::Call(Call::Checkout { .. }) => Some(added()),
                Step::Call(Call::Purchase { .. }) => Some(outcome()),
                Step::Call(_) => Some(Answer::Read),
                Step::Think(_) => None,
                Step::Leave => break,
            };
            steps.push(step);
        }
        steps
    };
    let steps = play();
    assert!(steps.len() > 3);
    assert_eq!(steps, play());
}
