//! Which model is asked, and which one answers.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{error, warn};

/// The models in the order in which they are tried.
pub(super) struct Models {
    names: Vec<Arc<str>>,
    current: AtomicUsize,
    /// The model that answered last, in the provider's words.
    answering: Mutex<Option<Arc<str>>>,
    /// The models that answered and had not been asked.
    strangers: Mutex<HashSet<Arc<str>>>,
}

/// So many of them are told of.
const MOST_STRANGERS: usize = 16;

impl Models {
    pub(super) fn new(model: &str, fallbacks: &[String]) -> Self {
        let names =
            std::iter::once(model).chain(fallbacks.iter().map(String::as_str)).map(Arc::from).collect();
        Self { names, current: AtomicUsize::new(0), answering: Mutex::default(), strangers: Mutex::default() }
    }

    pub(super) fn current(&self) -> Arc<str> {
        let current = self.current.load(Ordering::Relaxed).min(self.names.len() - 1);
        Arc::clone(&self.names[current])
    }

    /// Turns to the next model because the provider does not have this one; `false` if there is none.
    pub(super) fn turn_from(&self, missing: &str) -> bool {
        let Some(place) = self.names.iter().position(|name| **name == *missing) else { return false };
        let Some(next) = self.names.get(place + 1) else {
            error!(
                llm.model = missing,
                "The provider does not have the model {missing}, and no other is configured"
            );
            return false;
        };
        let turned = self.current.compare_exchange(place, place + 1, Ordering::Relaxed, Ordering::Relaxed);
        if turned.is_ok() {
            warn!(
                llm.model = missing,
                "The provider does not have the model {missing}: asking {next} from now on"
            );
        }
        true
    }

    /// Notes which model answered, and tells when it is not the one that was asked, once each.
    pub(super) fn answered(&self, asked: &str, model: &Arc<str>) {
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        if answering.as_ref() == Some(model) {
            return;
        }
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !model.starts_with(asked)
            && strangers.len() < MOST_STRANGERS
            && strangers.insert(Arc::clone(model));
        if is_new {
            warn!(
                llm.asked = asked,
                llm.model = %model,
                "The model {asked} was asked and {model} answered: what it costs and how it grades may differ"
            );
        }
        *answering = Some(Arc::clone(model));
    }

    /// Whether a verdict of this model would come from the same model now, as far as is known.
    pub(super) fn still_answers(&self, model: &str) -> bool {
        let answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        answering.as_ref().is_none_or(|answering| **answering == *model)
    }
}
