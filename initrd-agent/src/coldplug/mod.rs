//! Loads the drivers that the hardware asks for by its modalias.
