//! Embeddings of texts, as they are kept and compared.

use crate::Hit;

/// Most numbers of one embedding.
pub const MAX_DIMENSION: usize = 8192;

/// The embedding of a text. Its direction is what counts, so that each number is kept in one byte, as a part of the largest.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    numbers: Box<[i8]>,
    /// Euclidean.
    length: f32,
}

impl Vector {
    /// From a model's numbers. `None`: there are none, or too many, or one is not finite, or all are 0.
    pub fn from_numbers(numbers: &[f32]) -> Option<Self> {
        if numbers.len() > MAX_DIMENSION || !numbers.iter().all(|number| number.is_finite()) {
            return None;
        }
        let largest = numbers.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        if largest == 0.0 {
            return None;
        }
        // Divided first: a tiny number would become infinite as a divisor's inverse.
        Self::new(numbers.iter().map(|number| (number / largest * f32::from(i8::MAX)).round() as i8).collect())
    }

    /// From [`Vector::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_DIMENSION {
            return None;
        }
        Self::new(bytes.iter().map(|byte| byte.cast_signed()).collect())
    }

    fn new(numbers: Box<[i8]>) -> Option<Self> {
        let length = (product(&numbers, &numbers) as f32).sqrt();
        (length > 0.0).then_some(Self { numbers, length })
    }

    /// A byte for each number.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.numbers.iter().map(|number| number.cast_unsigned()).collect()
    }

    /// How many numbers it has.
    pub fn dimension(&self) -> usize {
        self.numbers.len()
    }

    /// The cosine of the angle between both, from -1 to 1; 0 where they are of different models.
    pub fn similarity(&self, other: &Self) -> f32 {
        if self.dimension() != other.dimension() {
            return 0.0;
        }
        product(&self.numbers, &other.numbers) as f32 / (self.length * other.length)
    }
}

/// No overflow: there are at most [`MAX_DIMENSION`] numbers.
fn product(one: &[i8], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

/// The tools whose embeddings are most like the query's, best first, of equals in their order; no more than so many. Each is given with
/// the place of its segment and its own.
pub fn nearest<'v>(
    query: &Vector,
    tools: impl IntoIterator<Item = (usize, usize, &'v Vector)>,
    most: usize,
) -> Vec<Hit> {
    let hits = tools.into_iter().map(|(segment, tool, vector)| Hit { segment, tool, score: query.similarity(vector) });
    let mut hits: Vec<Hit> = hits.filter(|hit| hit.score > 0.0).collect();
    hits.sort_by(|one, other| other.score.total_cmp(&one.score));
    hits.truncate(most);
    hits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vector(numbers: &[f32]) -> Vector {
        Vector::from_numbers(numbers).expect("a direction")
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        for numbers in [&[][..], &[0.0, 0.0], &[1.0, f32::NAN], &[f32::INFINITY], &[0.1; MAX_DIMENSION + 1]] {
            assert_eq!(Vector::from_numbers(numbers), None);
        }
        assert_eq!(Vector::from_bytes(&[]), None);
        assert_eq!(Vector::from_bytes(&[0; 4]), None);
        assert_eq!(Vector::from_bytes(&vec![1; MAX_DIMENSION + 1]), None);
        assert!(Vector::from_numbers(&[f32::MIN_POSITIVE, f32::MAX]).is_some());
    }

    #[test]
    fn the_nearest_come_first_and_those_of_another_model_not_at_all() {
        let tools = [
            vector(&[0.0, 1.0]),
            vector(&[1.0, 1.0]),
            vector(&[1.0, 0.1]),
            vector(&[1.0, 0.0, 0.0]),
            vector(&[-1.0, 0.0]),
        ];
        let places = tools.iter().enumerate().map(|(tool, vector)| (7, tool, vector));
        let found = nearest(&vector(&[1.0, 0.0]), places.clone(), 10);
        assert_eq!(found.iter().map(|hit| (hit.segment, hit.tool)).collect::<Vec<_>>(), [(7, 2), (7, 1)]);
        assert_eq!(nearest(&vector(&[1.0, 0.0]), places, 1).len(), 1);
    }

    proptest! {
        #[test]
        fn a_byte_for_each_number_is_exact_enough(pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 8..400)) {
            let (one, other): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let exact = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
            let cosine = exact(&one, &other) / (exact(&one, &one) * exact(&other, &other)).sqrt();
            if let (Some(one), Some(other)) = (Vector::from_numbers(&one), Vector::from_numbers(&other)) {
                prop_assert!((one.similarity(&other) - cosine).abs() < 0.02);
                prop_assert_eq!(Vector::from_bytes(&one.to_bytes()), Some(one));
            }
        }
    }
}
