//! What only one worker has and all may ask for: the plans that it keeps.
//!
//! Nothing of it is shared, so that no request pays for being watched. Whoever wants to know asks
//! every worker and is answered between two of its tasks.

use std::{
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Worker;
use crate::{
    plugin::{
        input::{SessionAttributes, Transaction},
        plan::Plan,
    },
    sql::{ShapeId, StatementFacts},
};

/// Questions that wait for one worker at once; operators ask few.
const WAITING_MAX: usize = 16;

/// Longest wait for one worker. It answers in microseconds unless something holds its thread up.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A plan that a worker keeps.
#[derive(Clone, Debug)]
pub struct KeptPlan {
    /// The shape that it is for.
    pub shape: ShapeId,
    /// What the shape is, unless the worker has forgotten it.
    pub statement: Option<Arc<StatementFacts>>,
    /// The sessions that it is for, as the policy sees them; numbers of classes are each worker's own.
    pub class: Option<Arc<SessionAttributes>>,
    /// Where the session stood.
    pub transaction: Transaction,
    /// The plan.
    pub plan: Arc<Plan>,
    /// How often it was used.
    pub hits: u64,
}

type Answer = oneshot::Sender<Vec<KeptPlan>>;

/// The way to every worker.
#[derive(Debug, Default)]
pub struct Inquiries {
    workers: Mutex<Vec<mpsc::Sender<Answer>>>,
}

impl Inquiries {
    /// Asks all workers for their plans and takes in one answer after the other. Answers how many
    /// workers were silent for too long.
    pub async fn plans(&self, mut take_in: impl FnMut(Vec<KeptPlan>)) -> usize {
        let workers = self.workers.lock().expect("nothing panics while it holds the list").clone();
        let mut silent = 0;
        for worker in workers {
            let (answer, answered) = oneshot::channel();
            let asked = async {
                worker.send(answer).await.ok()?;
                answered.await.ok()
            };
            match timeout(ANSWER_MAX, asked).await {
                Ok(Some(plans)) => take_in(plans),
                Ok(None) | Err(_) => silent += 1,
            }
        }
        silent
    }

    fn join(&self) -> mpsc::Receiver<Answer> {
        let (way_in, questions) = mpsc::channel(WAITING_MAX);
        self.workers.lock().expect("nothing panics while it holds the list").push(way_in);
        questions
    }
}

/// Answers for one worker as long as it runs. It can be asked from the moment of the call.
pub fn answer(worker: Rc<Worker>) -> impl Future<Output = ()> {
    let mut questions = worker.shared.inquiries.join();
    async move {
        while let Some(answer) = questions.recv().await {
            // Whoever asked may have gone.
            let _ = answer.send(plans(&worker));
        }
    }
}

fn plans(worker: &Worker) -> Vec<KeptPlan> {
    let (plans, shapes) = (worker.plans.borrow(), worker.shapes.borrow());
    let statements: HashMap<_, _> = shapes.known().map(|shape| (shape.id, &shape.facts)).collect();
    let classes: HashMap<_, _> =
        plans.classes().into_iter().map(|(class, attributes)| (class, Arc::new(attributes.clone()))).collect();
    let kept = plans.list().map(|(key, plan, hits)| KeptPlan {
        shape: key.shape,
        statement: statements.get(&key.shape).map(|facts| Arc::clone(facts)),
        class: classes.get(&key.class).cloned(),
        transaction: key.transaction,
        plan: Arc::clone(plan),
        hits,
    });
    kept.collect()
}
