//! The strategies that a program knows: the built-in ones, and those that a desk registers.

use crate::config::{Config, ConfigErrors, Kind, Parameters};
use crate::core::instrument::InstrumentDefinition;
use crate::core::strategy::Strategy;

/// Makes a strategy from its parameters and the definitions of its instruments, in the order of its configuration.
pub type Make = fn(&Parameters, &[InstrumentDefinition]) -> Result<Box<dyn Strategy>, ConfigErrors>;

#[derive(Clone, Default)]
pub struct Registry {
    own: Vec<(&'static str, Make)>,
}

impl Registry {
    pub fn built_in() -> Self {
        Self::default()
    }

    /// Adds a strategy under the name that `kind = "..."` gives in a configuration.
    #[must_use]
    pub fn with(mut self, kind: &'static str, make: Make) -> Self {
        self.own.push((kind, make));
        self
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.own.iter().map(|(kind, _)| *kind).collect()
    }

    /// One object per configured strategy, in order.
    pub fn make(
        &self,
        config: &Config,
        definitions: &[InstrumentDefinition],
    ) -> Result<Vec<Box<dyn Strategy>>, ConfigErrors> {
        config.check_kinds(&self.kinds())?;
        let mut made: Vec<Box<dyn Strategy>> = Vec::new();
        for (index, strategy) in config.strategies.iter().enumerate() {
            if let Some(built_in) = config.built_in_strategy(index, definitions)? {
                made.push(built_in);
            } else if let Kind::Own { name, parameters } = &strategy.kind {
                let own = strategy.instruments.iter().filter_map(|at| definitions.get(usize::from(*at)));
                let own: Vec<InstrumentDefinition> = own.copied().collect();
                if let Some((_, make)) = self.own.iter().find(|(kind, _)| kind == name) {
                    made.push(make(parameters, &own)?);
                }
            }
        }
        Ok(made)
    }
}
