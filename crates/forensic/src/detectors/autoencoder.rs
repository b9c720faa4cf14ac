//! A small network that learns to copy trusted rows; what it cannot copy is strange.

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::{AdamConfig, GradientsParams, decay::WeightDecayConfig},
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use sentinelflow_domain::scan::ScanProgress;

use crate::{ScanError, matrix::Matrix, random::Random};

const HIDDEN: usize = 32;
const CODE: usize = 8;
const EPOCHS: usize = 20;
/// Rows beyond this cost more than they teach; the order of the rows is a hash of their content, so every
/// so-many-th of them is a random sample.
const MOST_TRAINED_ROWS: usize = 30_000;
const PEAK_RATE: f64 = 3e-3;
const WARM_UP: f64 = 0.2;
const WEIGHT_DECAY: f32 = 1e-5;
const SCORED_AT_ONCE: usize = 1_024;
const STEPS_BETWEEN_LOOKS: usize = 32;

#[derive(Module, Debug)]
struct Network {
    narrowing: Linear,
    coding: Linear,
    widening: Linear,
    copying: Linear,
}

/// Returns each row's mean squared error of copying.
pub(super) fn scores(
    matrix: &Matrix,
    trusted: &[usize],
    progress: &dyn ScanProgress,
) -> Result<Vec<f64>, ScanError> {
    let scale = Scale::of(matrix);
    let stride = trusted.len().div_ceil(MOST_TRAINED_ROWS);
    let taught: Vec<usize> = trusted.iter().copied().step_by(stride).collect();
    let network = train(matrix, &taught, &scale, progress)?;
    let device = Device::flex();
    let mut scores = Vec::with_capacity(matrix.rows);
    let every: Vec<usize> = (0..matrix.rows).collect();
    for rows in every.chunks(SCORED_AT_ONCE) {
        super::still_wanted(progress, "copying", rows[0], matrix.rows)?;
        let batch = scale.batch(matrix, rows, &device);
        let error = (network.forward(batch.clone()) - batch).powi_scalar(2).mean_dim(1);
        let error = error.into_data().try_to_vec::<f32>().expect("the network counts in f32");
        scores.extend(
            error.into_iter().map(|error| if error.is_finite() { f64::from(error) } else { f64::MAX }),
        );
    }
    Ok(scores)
}

fn train(
    matrix: &Matrix,
    taught: &[usize],
    scale: &Scale,
    progress: &dyn ScanProgress,
) -> Result<Network, ScanError> {
    let device = Device::flex().autodiff();
    let mut network = Network::new(matrix.width, &device);
    let mut optimizer = AdamConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(Some(WeightDecayConfig::new(WEIGHT_DECAY)))
        .init();
    let batch_rows = (taught.len() / 32).clamp(16, 256).min(taught.len());
    let steps = EPOCHS * taught.len() / batch_rows;
    let mut random = Random::new(0xA070_E4C0);
    let mut deck: Vec<usize> = taught.to_vec();
    let mut dealt = deck.len();
    for step in 0..steps {
        if step % STEPS_BETWEEN_LOOKS == 0 {
            super::still_wanted(progress, "training", step, steps)?;
        }
        if dealt + batch_rows > deck.len() {
            shuffle(&mut deck, &mut random);
            dealt = 0;
        }
        let batch = scale.batch(matrix, &deck[dealt..dealt + batch_rows], &device);
        dealt += batch_rows;
        let loss = (network.forward(batch.clone()) - batch).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(rate(step, steps), network, gradients);
    }
    Ok(network.valid())
}

/// Rises to the peak over the first fifth, then falls to zero along a cosine.
fn rate(step: usize, steps: usize) -> f64 {
    let done = (step as f64 + 0.5) / steps as f64;
    if done < WARM_UP {
        return PEAK_RATE * done / WARM_UP;
    }
    PEAK_RATE * 0.5 * (1.0 + (std::f64::consts::PI * (done - WARM_UP) / (1.0 - WARM_UP)).cos())
}

fn shuffle(deck: &mut [usize], random: &mut Random) {
    for last in (1..deck.len()).rev() {
        deck.swap(last, random.below(last + 1));
    }
}

impl Network {
    /// The weights come from our own generator: the framework's is shared by the whole process.
    fn new(width: usize, device: &Device) -> Self {
        let mut random = Random::new(0x1217_57A7);
        let mut layer = |from: usize, to: usize| {
            let bound = (6.0 / (from + to) as f64).sqrt();
            let weights: Vec<f32> =
                (0..from * to).map(|_| ((random.unit() * 2.0 - 1.0) * bound) as f32).collect();
            Linear {
                weight: Param::from_tensor(Tensor::from_data(TensorData::new(weights, [from, to]), device)),
                bias: Some(Param::from_tensor(Tensor::zeros([to], device))),
            }
        };
        Self {
            narrowing: layer(width, HIDDEN),
            coding: layer(HIDDEN, CODE),
            widening: layer(CODE, HIDDEN),
            copying: layer(HIDDEN, width),
        }
    }

    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.narrowing.forward(rows));
        let code = relu(self.coding.forward(hidden));
        let hidden = relu(self.widening.forward(code));
        self.copying.forward(hidden)
    }
}

/// Mean and standard deviation of each feature: the network, unlike the distances, sees how far a spike goes.
struct Scale {
    mean: Vec<f32>,
    factor: Vec<f32>,
}

impl Scale {
    fn of(matrix: &Matrix) -> Self {
        let rows = matrix.rows as f64;
        let mut mean = vec![0.0; matrix.width];
        for row in matrix.iter_rows() {
            for (mean, x) in mean.iter_mut().zip(row) {
                *mean += f64::from(*x) / rows;
            }
        }
        let mut variance = vec![0.0; matrix.width];
        for row in matrix.iter_rows() {
            for (variance, (x, mean)) in variance.iter_mut().zip(row.iter().zip(&mean)) {
                *variance += (f64::from(*x) - mean).powi(2) / rows;
            }
        }
        Self {
            mean: mean.into_iter().map(|mean| mean as f32).collect(),
            factor: variance
                .into_iter()
                .map(|variance: f64| (1.0 / variance.sqrt().max(1e-30)) as f32)
                .collect(),
        }
    }

    fn batch(&self, matrix: &Matrix, rows: &[usize], device: &Device) -> Tensor<2> {
        let mut values = Vec::with_capacity(rows.len() * matrix.width);
        for row in rows {
            let scaled = matrix.row(*row).iter().zip(self.mean.iter().zip(&self.factor));
            values.extend(scaled.map(|(x, (mean, factor))| (x - mean) * factor));
        }
        Tensor::from_data(TensorData::new(values, [rows.len(), matrix.width]), device)
    }
}
