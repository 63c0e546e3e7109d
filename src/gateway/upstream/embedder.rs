//! The worker that embeds texts, apart from the servers: no client's request can lead there.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcproxy_ipc::{EMBED_METHOD, EmbedParams, EmbedResult, Generation, Route, data::CallContext};
use mcproxy_search::Vector;
use tokio::{sync::Notify, time::timeout};

use super::connection::{CallEnd, CallOutcome, CancelOnDrop, WorkerConnection};
use crate::gateway::{
    base::{
        budget::{Budget, Full, Held, Purpose},
        metrics::OutcomeLabel,
    },
    catalogue::{TextDigest, ToolVectors},
};

/// The worker, and the vectors that it gave. Lives on the HTTP thread.
pub(crate) struct Embedder {
    /// `None`: nothing is embedded.
    route: RefCell<Option<Route>>,
    connection: RefCell<Option<Rc<WorkerConnection>>>,
    vectors: RefCell<Arc<ToolVectors>>,
    /// The generation that they are of.
    of: Cell<Generation>,
    held: RefCell<Held>,
    budget: Budget,
    /// Rung when there may be texts whose vectors can be had.
    wanted: Notify,
}

impl Embedder {
    /// No worker.
    pub(crate) fn new(budget: &Budget) -> Self {
        Self {
            route: RefCell::default(),
            connection: RefCell::default(),
            vectors: RefCell::default(),
            of: Cell::default(),
            held: RefCell::new(budget.nothing(Purpose::Vectors)),
            budget: budget.clone(),
            wanted: Notify::new(),
        }
    }

    /// Takes over what the supervisor says of the worker; returned if it is to be connected to.
    pub(crate) fn told(&self, route: Option<Route>) -> Option<Route> {
        let before = self.route.replace(route.clone());
        if route.is_none() {
            self.forget();
        }
        let Some(ready) = route.filter(Route::is_ready) else {
            self.leave();
            return None;
        };
        let is_known = before.is_some_and(|before| before.is_ready() && before.generation == ready.generation);
        (!is_known).then_some(ready)
    }

    /// Whether this is the name of it.
    pub(crate) fn is(&self, server: &str) -> bool {
        self.route.borrow().as_ref().is_some_and(|route| route.server.as_str() == server)
    }

    /// Whether the connection to this generation is wanted.
    pub(crate) fn wants(&self, generation: Generation) -> bool {
        self.route.borrow().as_ref().is_some_and(|route| route.is_ready() && route.generation == generation)
    }

    /// From now on texts are embedded there. It may be by another model, so that all are embedded anew: the worker has kept what it
    /// knows.
    pub(crate) fn attach(&self, connection: Rc<WorkerConnection>) {
        self.leave();
        self.forget();
        self.of.set(connection.generation());
        self.connection.replace(Some(connection));
        self.wanted.notify_one();
    }

    /// The connection ends with what is under way on it.
    fn leave(&self) {
        if let Some(before) = self.connection.take() {
            before.retire();
        }
    }

    /// A connection has ended.
    pub(crate) fn detach(&self, connection: &Rc<WorkerConnection>) {
        self.connection.borrow_mut().take_if(|ours| Rc::ptr_eq(ours, connection));
    }

    /// Whether texts can be embedded at present.
    pub(crate) fn is_there(&self) -> bool {
        self.connection.borrow().is_some()
    }

    /// Waits until there may be texts whose vectors can be had.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Some texts have no vectors.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// The vectors at this moment.
    pub(crate) fn vectors(&self) -> Arc<ToolVectors> {
        self.vectors.borrow().clone()
    }

    /// The same, of this generation and with this dimension. `None`: there are none; of others than that, all are of no use.
    pub(crate) fn vectors_like(&self, of: Generation, vector: &Vector) -> Option<Arc<ToolVectors>> {
        let vectors = self.vectors();
        if of != self.of.get() || vectors.dimension()? != vector.dimension() {
            self.forget();
            return None;
        }
        Some(vectors)
    }

    /// Takes in vectors of texts, if they are of the worker that the others are of.
    ///
    /// # Errors
    /// There is no room on the budget.
    pub(crate) fn keep(
        &self,
        of: Generation,
        vectors: impl ExactSizeIterator<Item = (TextDigest, Vector)>,
    ) -> Result<(), Full> {
        let mut vectors = vectors.peekable();
        let Some((_, first)) = vectors.peek().filter(|_| of == self.of.get()) else { return Ok(()) };
        let dimension = first.dimension();
        if self.vectors.borrow().dimension().is_some_and(|others| others != dimension) {
            self.forget();
        }
        self.budget.grow(&mut self.held.borrow_mut(), ToolVectors::bytes(vectors.len(), dimension))?;
        let mut kept = self.vectors.borrow_mut();
        let all = Arc::make_mut(&mut kept);
        vectors.for_each(|(digest, vector)| all.insert(digest, vector));
        self.held.borrow_mut().shrink_to(all.held());
        Ok(())
    }

    /// Forgets the vectors of texts that are gone.
    pub(crate) fn retain(&self, is_live: impl Fn(&TextDigest) -> bool) {
        let mut kept = self.vectors.borrow_mut();
        Arc::make_mut(&mut kept).retain(is_live);
        self.held.borrow_mut().shrink_to(kept.held());
    }

    /// Forgets all vectors.
    pub(crate) fn forget(&self) {
        self.vectors.take();
        self.held.borrow_mut().shrink_to(0);
        self.wanted.notify_one();
    }

    /// The vectors of texts, all of one dimension, and the generation of the worker that they are of; `None`: they cannot be had, or
    /// not within this time. The worker logs why.
    pub(crate) async fn embed(
        &self,
        texts: Vec<String>,
        keep: bool,
        within: Duration,
    ) -> Option<(Generation, Vec<Vector>)> {
        let connection = self.connection.borrow().clone()?;
        let begun = Instant::now();
        let count = texts.len();
        let params = serde_json::to_vec(&EmbedParams { texts, keep }).ok()?;
        let exchange = async {
            let call = connection.call(EMBED_METHOD, &params, params.len(), CallContext::default()).await?;
            let _cancel = CancelOnDrop::new(call.handle());
            match call.wait(|_| ()).await {
                CallOutcome::Over(CallEnd::Result(result, _)) => read(&result, count),
                CallOutcome::Over(_) | CallOutcome::NeedsInput(_) => None,
            }
        };
        let (outcome, vectors) = match timeout(within, exchange).await {
            Ok(Some(vectors)) => (OutcomeLabel::Result, Some(vectors)),
            Ok(None) => (OutcomeLabel::Error, None),
            Err(_) => (OutcomeLabel::Cancelled, None),
        };
        connection.metrics().ended(outcome, begun.elapsed());
        Some((connection.generation(), vectors?))
    }
}

/// The vectors of so many texts.
fn read(result: &[u8], count: usize) -> Option<Vec<Vector>> {
    let EmbedResult { vectors } = serde_json::from_slice(result).ok()?;
    let vector = |text: &String| Vector::from_bytes(&STANDARD.decode(text).ok()?);
    let vectors: Vec<Vector> = vectors.iter().map(vector).collect::<Option<_>>()?;
    let is_one_dimension = vectors.windows(2).all(|pair| pair[0].dimension() == pair[1].dimension());
    (vectors.len() == count && is_one_dimension).then_some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(numbers: &[f32]) -> Vector {
        Vector::from_numbers(numbers).expect("a direction")
    }

    #[test]
    fn vectors_are_counted_and_given_back() {
        let budget = Budget::new(1 << 20);
        let embedder = Embedder::new(&budget);
        embedder
            .keep(Generation(0), [([1; 32], vector(&[1.0, 0.0])), ([2; 32], vector(&[0.0, 1.0]))].into_iter())
            .expect("room");
        let two = budget.held(Purpose::Vectors);
        embedder.keep(Generation(0), [([2; 32], vector(&[1.0, 1.0]))].into_iter()).expect("room");
        assert_eq!(budget.held(Purpose::Vectors), two, "it was there before");
        embedder.retain(|digest| *digest == [1; 32]);
        assert_eq!(budget.held(Purpose::Vectors), two / 2);
        embedder.keep(Generation(0), [([3; 32], vector(&[1.0, 0.0, 0.0]))].into_iter()).expect("room");
        assert_eq!(embedder.vectors().dimension(), Some(3), "of another model");
        assert!(budget.held(Purpose::Vectors) < two, "the others are gone");
        let many = (0..=255).map(|n| ([n; 32], vector(&vec![1.0; 8000])));
        embedder.keep(Generation(0), many.collect::<Vec<_>>().into_iter()).expect_err("no room");
        embedder.forget();
        assert_eq!(budget.held(Purpose::Vectors), 0);
        embedder.keep(Generation(7), [([1; 32], vector(&[1.0]))].into_iter()).expect("nothing is taken");
        assert!(embedder.vectors().is_empty(), "of a worker that is not the one any more");
    }

    #[test]
    fn an_answer_is_as_many_vectors_of_one_dimension() {
        let encoded = |numbers: &[f32]| STANDARD.encode(vector(numbers).to_bytes());
        let answer = |vectors: &[String]| serde_json::to_vec(&EmbedResult { vectors: vectors.to_vec() }).expect("JSON");
        let two = answer(&[encoded(&[1.0, 0.0]), encoded(&[0.0, 1.0])]);
        assert_eq!(read(&two, 2), Some(vec![vector(&[1.0, 0.0]), vector(&[0.0, 1.0])]));
        assert_eq!(read(&two, 1), None);
        assert_eq!(read(&answer(&[encoded(&[1.0]), encoded(&[0.0, 1.0])]), 2), None);
        assert_eq!(read(&answer(&["!".into()]), 1), None);
        assert_eq!(read(b"{}", 0), None);
    }
}
