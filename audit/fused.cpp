// The fused operations beside their composed twins (reference/composed.h): results and gradients of
// every input, in f64 and in f32, on every instruction set; and gradients beside differences.
#include <cmath>

#include "audit/case.h"
#include "audit/reference/composed.h"
#include "autograd/grad_check.h"
#include "tensor/blas.h"

namespace holdfast::audit {
namespace {

struct Twin {
  Operation fused, composed;
  std::vector<Tensor> inputs;
  bool small = false;  // its gradients are checked element by element, too
  bool smooth = true;  // f32 is compared: rounding cannot carry it over a jump
};

struct Fused {
  std::string name, equation, gradient, source, covers;
  double single;  // bound of f32
  std::vector<Twin> twins;
};

constexpr double kEps = 1e-5;

std::vector<Twin> linear_twins(Activation activation) {
  std::vector<Twin> twins;
  const auto add = [&](std::int64_t N, std::int64_t I, std::int64_t O, bool small) {
    twins.push_back(
        {[=](const std::vector<Var>& v) { return linear(v[0], v[1], v[2], activation); },
         [=](const std::vector<Var>& v) { return composed_linear(v, activation); },
         {random_tensor({N, I}, 1, 2.0), random_tensor({O, I}, 2, I > 50 ? 0.1 : 1.0),
          random_tensor({O}, 3)},
         small,
         activation != Activation::relu});
  };
  add(5, 4, 3, true);
  add(1, 1, 1, true);
  add(33, 48, 17, false);
  add(300, 64, 96, false);
  add(40, 96, 700, false);
  add(110, 500, 70, false);
  return twins;
}

// Beside others a row whose variance is of the size of eps.
std::vector<Tensor> norm_inputs(std::int64_t N, std::int64_t C, double eps) {
  std::vector<Tensor> inputs{random_tensor({N, C}, 1, 3.0), random_tensor({C}, 2),
                             random_tensor({C}, 3)};
  for (std::int64_t c = 0; c < C && N > 1; ++c) inputs[0].data<double>()[C + c] *= std::sqrt(eps);
  return inputs;
}

std::vector<Twin> norm_twins() {
  std::vector<Twin> twins;
  for (const auto& [N, C] : {std::pair<std::int64_t, std::int64_t>{4, 6},
                             {3, 17},
                             {70, 1},
                             {200, 33},
                             {7, 100},
                             {2, 3000}}) {
    const double eps = C < 20 ? 0.1 : kEps;  // differences need a slope that they can follow
    twins.push_back(
        {[=](const std::vector<Var>& v) { return layer_norm(v[0], v[1], v[2], eps); },
         [=](const std::vector<Var>& v) { return composed_norm(v[0], v[1], v[2], eps); },
         norm_inputs(N, C, eps), C < 20});
  }
  return twins;
}

std::vector<Twin> dropout_twins() {
  std::vector<Twin> twins;
  for (const auto& [C, p] : {std::pair<std::int64_t, double>{11, 0.3}, {384, 0.1}, {2500, 0.5}}) {
    const Packing packing = packing_of({2, 3, 30}, {9, 1000000, 4});
    const DropoutKey key = dropout_key(p, 0xfffffff0);
    const Tensor mask = dropout_mask(key, packing.slots, packing.tokens, C);
    twins.push_back(
        {[=](const std::vector<Var>& v) {
           return dropout(v[0], key, packing.slots, packing.tokens);
         },
         [=](const std::vector<Var>& v) { return mul(v[0], Var(mask.to(v[0].dtype()))); },
         {random_tensor({packing.rows(), C}, 1)},
         C < 20});
  }
  return twins;
}

std::vector<Twin> residual_twins() {
  std::vector<Twin> twins;
  for (const auto& [C, p] : {std::pair<std::int64_t, double>{9, 0.3}, {9, 0.0}, {384, 0.1}}) {
    const Packing packing = C < 20 ? packing_of({2, 1}) : packing_of({1, 40, 100}, {3, 0, 8});
    const DropoutKey key = dropout_key(p);
    twins.push_back({[=](const std::vector<Var>& v) {
                       return dropout_residual_layer_norm(v[0], v[1], v[2], v[3], kEps, key,
                                                          packing);
                     },
                     composed_residual(key, packing, kEps),
                     {random_tensor({packing.rows(), C}, 1), random_tensor({packing.rows(), C}, 2),
                      random_tensor({C}, 3), random_tensor({C}, 4)},
                     C < 20});
  }
  return twins;
}

std::vector<Twin> embedding_twins() {
  std::vector<Twin> twins;
  for (const auto& [C, p] : {std::pair<std::int64_t, double>{6, 0.2}, {130, 0.0}, {64, 0.1}}) {
    const Packing packing = C < 20 ? packing_of({2, 3}) : packing_of({1, 50, 12}, {3, 0, 8});
    const DropoutKey key = dropout_key(p);
    const Ids ids = ids_of(packing, 20);
    twins.push_back({[=](const std::vector<Var>& v) {
                       return embedding_layer_norm(v[0], v[1], v[2], ids.words, ids.positions,
                                                   ids.types, v[3], v[4], kEps, key, packing);
                     },
                     composed_embedding(key, packing, ids, kEps),
                     {random_tensor({20, C}, 1), random_tensor({50, C}, 2),
                      random_tensor({2, C}, 3), random_tensor({C}, 4), random_tensor({C}, 5)},
                     C < 20});
  }
  return twins;
}

struct Shapes {
  std::vector<std::int32_t> lengths;
  std::int64_t heads, channels;
  double p;
};

std::vector<Twin> attention_twins() {
  std::vector<Twin> twins;
  for (const Shapes& s :
       {Shapes{{4, 1, 3}, 2, 6, 0.4}, Shapes{{3, 1, 5}, 2, 6, 0.0}, Shapes{{17, 64, 2}, 3, 24, 0.1},
        Shapes{{260, 7}, 2, 64, 0.1}, Shapes{{512, 1}, 1, 33, 0.0}}) {
    const Packing packing = packing_of(s.lengths);
    const DropoutKey key = dropout_key(s.p);
    twins.push_back(
        {[=](const std::vector<Var>& v) { return attention(v[0], s.heads, packing, key); },
         composed_attention(s.heads, packing, key),
         {random_tensor({packing.rows(), 3 * s.channels}, 5, 2.0)},
         packing.rows() < 10});
  }
  return twins;
}

std::vector<Twin> query_twins() {
  std::vector<Twin> twins;
  for (const Shapes& s : {Shapes{{4, 1, 3}, 2, 6, 0.4}, Shapes{{17, 64, 2}, 3, 24, 0.1},
                          Shapes{{300, 7, 33}, 2, 64, 0.0}}) {
    for (const std::int32_t count : {1, 70}) {
      const Packing packing = packing_of(s.lengths), queries = asking(packing, count);
      const DropoutKey key = dropout_key(s.p);
      twins.push_back({[=](const std::vector<Var>& v) {
                         return attention(v[0], v[1], s.heads, queries, packing, key);
                       },
                       composed_queries(s.heads, queries, packing, key),
                       {random_tensor({queries.rows(), s.channels}, 5, 2.0),
                        random_tensor({packing.rows(), 2 * s.channels}, 6, 2.0)},
                       packing.rows() < 10});
    }
  }
  return twins;
}

std::vector<Twin> cross_entropy_twins() {
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{2, 0, 3, 3}, {4});
  const Tensor weights = Tensor::from(std::vector<double>{0.25, 0.5, 0.0, 1.25}, {4});
  std::vector<Twin> twins;
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    const Operation composed = composed_cross_entropy(labels, weights, smoothing);
    twins.push_back({[=](const std::vector<Var>& v) {
                       return softmax_cross_entropy(v[0], labels, weights.to(v[0].dtype()),
                                                    smoothing);
                     },
                     composed,
                     {random_tensor({4, 5}, 1, 4.0)},
                     true});
  }
  return twins;
}

std::vector<Fused> fused() {
  std::vector<Fused> all;
  for (const auto& [name, f, activation] :
       {std::tuple{"linear", "", Activation::none},
        {"linear with GELU", "gelu", Activation::gelu_erf},
        {"linear with GELU, tanh form", "gelu", Activation::gelu_tanh},
        {"linear with tanh", "tanh", Activation::tanh},
        {"linear with relu", "relu", Activation::relu}}) {
    all.push_back({name, "y = " + std::string(f) + "(x W^T + b)",
                   "dpre = dout f', dx = dpre W, dW = dpre^T x, db = sum_n dpre",
                   activation == Activation::gelu_erf ? "Hendrycks & Gimpel 2016" : "definition",
                   "autograd/fused.h: linear", 3e-6, linear_twins(activation)});
  }
  all.push_back({"layer_norm", "y = gamma (x - mu)/sqrt(var + eps) + beta",
                 "dx = rstd (g - mean g - xhat mean(g xhat)), g = dout gamma", "Ba et al. 2016",
                 "autograd/ops.h: layer_norm", 2e-6, norm_twins()});
  all.push_back({"dropout", "y = x M / (1-p), M from Philox(slot, token, channel)",
                 "dx = dout M / (1-p)", "Srivastava et al. 2014", "autograd/ops.h: dropout", 1.2e-7,
                 dropout_twins()});
  all.push_back({"dropout_residual_layer_norm", "y = LN(residual + dropout(x))",
                 "of layer_norm, then dx = M dz, dresidual = dz", "Vaswani et al. 2017, sec. 5.4",
                 "autograd/fused.h: dropout_residual_layer_norm", 1e-6, residual_twins()});
  all.push_back({"embedding_layer_norm",
                 "y = dropout(LN(words[ids] + positions[pos] + types[type]))",
                 "of layer_norm, summed over equal ids", "Devlin et al. 2019",
                 "autograd/fused.h: embedding_layer_norm", 1e-6, embedding_twins()});
  all.push_back({"attention", "softmax(Q K^T / sqrt(D)) M V, text by text and head by head",
                 "dS = P (M dout V^T - rowsum(dout out)), dQ = dS K/sqrt(D), dK = dS^T Q/sqrt(D), "
                 "dV = (P M)^T dout",
                 "Vaswani et al. 2017, eq. 1", "autograd/fused.h: attention", 2e-6,
                 attention_twins()});
  all.push_back({"attention of some queries", "the same, rows of Q fewer than of K and V",
                 "the same", "Vaswani et al. 2017, eq. 1", "autograd/fused.h: attention", 2e-6,
                 query_twins()});
  all.push_back({"softmax_cross_entropy", "sum_n w_n (-(1-s) log p_n[y_n] - s/K sum_k log p_n[k])",
                 "dz = w_n (p - (1-s) onehot - s/K)", "Szegedy et al. 2016, sec. 7",
                 "autograd/fused.h: softmax_cross_entropy", 4e-7, cross_entropy_twins()});
  return all;
}

// Results and gradients of every input: the largest relative error of any.
double apart(const std::vector<Tensor>& found, const std::vector<Tensor>& expected) {
  Worst worst;
  for (std::size_t i = 0; i < found.size(); ++i) worst.add(difference(found[i], expected[i]));
  return worst.value();
}

double double_error(const std::vector<Twin>& twins) {
  return on_every_isa([&] {
    Worst worst;
    for (const Twin& twin : twins) {
      worst.add(apart(run(twin.fused, twin.inputs), run(twin.composed, twin.inputs)));
    }
    return worst.value();
  });
}

// Against the twin in double from the same (rounded) numbers.
double float_error(const std::vector<Twin>& twins) {
  return on_every_isa([&] {
    Worst worst;
    for (const Twin& twin : twins) {
      if (!twin.smooth) continue;
      const std::vector<Tensor> rounded = converted(twin.inputs, DType::f32);
      worst.add(
          apart(run(twin.fused, rounded), run(twin.composed, converted(rounded, DType::f64))));
    }
    return worst.value();
  });
}

double gradient_error(const std::vector<Twin>& twins) {
  Worst worst;
  for (const Twin& twin : twins) {
    if (twin.small) worst.add(check_gradients(twin.fused, twin.inputs).max_error);
  }
  return worst.value();
}

// Products in bf16 beside products of operands that were rounded first.
double bf16_error() {
  const Tensor x = random_tensor({37, 64}, 1, 1.0, DType::f32),
               w = random_tensor({50, 64}, 2, 1.0, DType::f32),
               b = random_tensor({50}, 3, 1.0, DType::f32);
  const auto rounded = [](const Tensor& t) { return t.to(DType::bf16).to(DType::f64); };
  const Bf16Products on(true);
  const Tensor y = linear(Var(x), Var(w), Var(b)).value();
  const Tensor expected =
      composed_linear({Var(rounded(x)), Var(rounded(w)), Var(b.to(DType::f64))}, Activation::none)
          .value();
  return difference(y, expected);
}

}  // namespace

std::vector<Case> fused_cases() {
  Family family("fused kernels");
  for (const Fused& one : fused()) {
    const Check row{.name = one.name,
                    .equation = one.equation,
                    .source = one.source,
                    .covers = one.covers,
                    .unit = "of the largest element"};
    const std::string shapes = ", " + std::to_string(one.twins.size()) + " shapes";
    Check values = row, singles = row, gradients = row;
    values.name += ", f64";
    values.against = "its twin from elementary operations, with gradients" + shapes;
    values.bound = 1e-12;
    family.formula(values, [twins = one.twins] { return double_error(twins); });
    singles.name += ", f32";
    singles.against = "its twin in double, with gradients" + shapes;
    singles.bound = one.single;
    family.formula(singles, [twins = one.twins] { return float_error(twins); });
    gradients.name += ", gradient";
    gradients.equation = one.gradient;
    gradients.against = "Richardson's differences, every element";
    gradients.unit = "of max(1,|dx|)";
    gradients.bound = 1e-9;
    family.gradient(gradients, [twins = one.twins] { return gradient_error(twins); });
  }
  family.formula({.name = "linear in bf16",
                  .equation = "y = bf16(x) bf16(W)^T + b, sums in f32",
                  .source = "Micikevicius et al. 2018; Kalamkar et al. 2019",
                  .against = "products of rounded operands in double",
                  .covers = "autograd/fused.h: Bf16Products",
                  .unit = "of the largest element",
                  .bound = 1e-6,
                  .missing = missing_for_bf16()},
                 bf16_error);
  return family.take();
}

}  // namespace holdfast::audit
