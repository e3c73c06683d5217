//! The types of path and query parameters.
//!
//! Guarantees: a parameter of type [`Checked`] always reaches its endpoint, valid or not. The
//! endpoint writes the response, so that a checkout with an invalid id is logged as an attempt.

use std::borrow::Cow;
use std::marker::PhantomData;

use flashsale_engine::{CheckoutCode, ItemId, SaleId, UserId};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};

/// The shape of a parameter.
pub trait Shape: Send + Sync + 'static {
    /// The type of a valid value.
    type Value: Send + Sync;
    /// The name of the parameter in messages and in the OpenAPI document.
    const NAME: &'static str;
    /// The regular expression in the OpenAPI document.
    const PATTERN: &'static str;
    /// The maximum of characters.
    const MAX_LEN: usize;

    /// Parses the value; the error names what was expected and what was found.
    fn parse(text: &str) -> Result<Self::Value, String>;
}

/// A valid value, or a sentence on why it is invalid.
#[derive(Debug)]
pub struct Checked<S: Shape> {
    value: Result<S::Value, String>,
    shape: PhantomData<S>,
}

impl<S: Shape> Checked<S> {
    /// The valid value, or a sentence on why it is invalid.
    pub fn get(&self) -> Result<&S::Value, &str> {
        self.value.as_ref().map_err(String::as_str)
    }

    /// Parses the value.
    pub fn parse(text: &str) -> Self {
        Self::of(S::parse(text))
    }

    fn of(value: Result<S::Value, String>) -> Self {
        Self {
            value: value.map_err(|why| format!("{}: {why}", S::NAME)),
            shape: PhantomData,
        }
    }
}

impl<S: Shape> Type for Checked<S> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        S::NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new("string");
        schema.min_length = Some(1);
        schema.max_length = Some(S::MAX_LEN);
        schema.pattern = Some(S::PATTERN.to_owned());
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(
        &'a self,
    ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<S: Shape> ParseFromParameter for Checked<S> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Ok(Self::parse(text))
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(
        texts: I,
    ) -> ParseResult<Self> {
        let mut texts = texts.into_iter();
        Ok(match (texts.next(), texts.next()) {
            (None, _) => Self::of(Err("expected a value, found none".to_owned())),
            (Some(_), Some(_)) => Self::of(Err("expected one value, found several".to_owned())),
            (Some(text), None) => Self::parse(text.as_ref()),
        })
    }
}

/// An optional parameter. Two values are an error, because neither has precedence.
#[derive(Debug)]
pub struct AtMostOne<T>(pub Option<T>);

impl<T: Type> Type for AtMostOne<T> {
    const IS_REQUIRED: bool = false;
    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        Option::<T>::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_raw_value()
    }

    fn raw_element_iter<'a>(
        &'a self,
    ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        self.0.raw_element_iter()
    }
}

impl<T: ParseFromParameter> ParseFromParameter for AtMostOne<T> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        let parsed = T::parse_from_parameter(text).map_err(ParseError::propagate)?;
        Ok(Self(Some(parsed)))
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(
        texts: I,
    ) -> ParseResult<Self> {
        let mut texts = texts.into_iter();
        match (texts.next(), texts.next()) {
            (None, _) => Ok(Self(None)),
            (Some(text), None) => Self::parse_from_parameter(text.as_ref()),
            (Some(_), Some(_)) => Err(ParseError::custom("expected one value, found several")),
        }
    }
}

/// The id of a user.
#[derive(Debug)]
pub struct UserIdShape;

impl Shape for UserIdShape {
    type Value = UserId;
    const NAME: &'static str = "user_id";
    const PATTERN: &'static str = "^[A-Za-z0-9.:@+_-]+$";
    const MAX_LEN: usize = UserId::MAX_LEN;

    fn parse(text: &str) -> Result<UserId, String> {
        UserId::parse(text).map_err(|error| error.to_string())
    }
}

/// The id of an item.
#[derive(Debug)]
pub struct ItemIdShape;

impl Shape for ItemIdShape {
    type Value = ItemId;
    const NAME: &'static str = "id";
    const PATTERN: &'static str = "^[A-Za-z0-9.:@+_-]+$";
    const MAX_LEN: usize = ItemId::MAX_LEN;

    fn parse(text: &str) -> Result<ItemId, String> {
        ItemId::parse(text).map_err(|error| error.to_string())
    }
}

/// A checkout code.
#[derive(Debug)]
pub struct CodeShape;

impl Shape for CodeShape {
    type Value = CheckoutCode;
    const NAME: &'static str = "code";
    const PATTERN: &'static str =
        "^CHK-[a-z0-9-]+\\.[a-z0-9.-]+\\.[0-9]{8}T[0-9]{4}Z-[0-9a-hjkmnp-tv-z]{22}$";
    const MAX_LEN: usize = 320;

    fn parse(text: &str) -> Result<CheckoutCode, String> {
        CheckoutCode::parse(text).ok_or_else(|| {
            format!(
                "expected CHK-<sale id>-<22 characters> as POST /checkout returns it, found {}",
                excerpt(text)
            )
        })
    }
}

/// The id of a sale.
#[derive(Debug)]
pub struct SaleIdShape;

impl Shape for SaleIdShape {
    type Value = SaleId;
    const NAME: &'static str = "sale id";
    const PATTERN: &'static str = "^[a-z0-9-]+\\.[a-z0-9.-]+\\.[0-9]{8}T[0-9]{4}Z$";
    const MAX_LEN: usize = 280;

    fn parse(text: &str) -> Result<SaleId, String> {
        text.parse::<SaleId>().map_err(|error| error.to_string())
    }
}

/// The text of a client, shortened and escaped: control characters would disturb a terminal.
fn excerpt(text: &str) -> String {
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(texts: &[&str]) -> Result<String, String> {
        match Checked::<UserIdShape>::parse_from_parameters(texts) {
            Ok(checked) => checked.get().map(UserId::to_string).map_err(str::to_owned),
            Err(error) => Err(error.into_message()),
        }
    }

    #[test]
    fn an_invalid_parameter_has_a_sentence_on_why() {
        assert_eq!(user(&["ann"]), Ok("ann".to_owned()));
        assert_eq!(
            user(&[]),
            Err("user_id: expected a value, found none".to_owned())
        );
        assert_eq!(
            user(&["a", "b"]),
            Err("user_id: expected one value, found several".to_owned())
        );
        assert!(user(&["\u{fffd}"]).is_err_and(|why| why.contains("found the character")));
    }
}
