//! Parameters that may change while the run goes on: which they are, what they take, and how they are read and put. One table a strategy.
//!
//! A parameter that is in no table is fixed for a run. What is in one is saved with the state, so that a replay and a warm start have
//! what the operator set.

use crate::limits::Values;

/// One of them, as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub values: Values,
}

/// By their places in the table.
pub trait Changeable {
    fn table(&self) -> &'static [Parameter];
    fn value(&self, at: usize) -> Option<i64>;
    /// False where there is no such parameter, or it does not hold this number.
    fn put(&mut self, at: usize, value: i64) -> bool;
}

/// `changeable! { Parameters { field "name" Unit least most or_none; ... } }`: the table of a struct's own fields.
#[macro_export]
macro_rules! changeable {
    ($of:ident { $($field:ident $name:literal $unit:ident $least:tt $most:tt $or_none:literal;)+ }) => {
        impl $of {
            /// What may change while the run goes on.
            pub const CHANGEABLE: &'static [$crate::strategy::changeable::Parameter] =
                &[$($crate::strategy::changeable::Parameter {
                    name: $name,
                    values: $crate::limits::Values::new($crate::limits::Unit::$unit, $least, $most, $or_none),
                }),+];
        }

        impl $crate::strategy::changeable::Changeable for $of {
            fn table(&self) -> &'static [$crate::strategy::changeable::Parameter] {
                Self::CHANGEABLE
            }

            fn value(&self, at: usize) -> Option<i64> {
                let name = Self::CHANGEABLE.get(at)?.name;
                $(if name == $name {
                    return Some($crate::limits::Numbered::number(&self.$field));
                })+
                None
            }

            fn put(&mut self, at: usize, value: i64) -> bool {
                let Some(parameter) = Self::CHANGEABLE.get(at) else { return false };
                $(if parameter.name == $name {
                    let Some(value) = $crate::limits::Numbered::of_number(value) else { return false };
                    self.$field = value;
                    return true;
                })+
                false
            }
        }
    };
}
